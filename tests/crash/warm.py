"""A `sluice` that has imported everything and forks for each command: two seconds instead of ten.

Started as a process of its own (`Warm` in crash/company.py): a line of JSON in says what to run,
a line of JSON out says how it ended. A child is what a user starts: the same `main` in a process
of its own, which can be killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any


def become(order: dict[str, Any]) -> None:
    import cli.main
    from warehouse.settings import settings

    os.environ.update(order["environment"])
    settings.cache_clear()
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    before = set(sys.modules)
    sys.argv = ["sluice", *order["arguments"]]
    code = 0
    try:
        cli.main.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    modules_of(order).write_text("\n".join(sorted(set(sys.modules) - before)))
    sys.stdout.flush()
    sys.stderr.flush()
    # What all the imports made need not be taken down by each child.
    os._exit(code)


def modules_of(order: dict[str, Any]) -> Path:
    return Path(order["output"]).with_suffix(".modules")


def answer(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def learn(modules: Iterable[str]) -> None:
    """Import what a child had to import, so that the next ones need not."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)
    gc.freeze()


def main() -> None:
    import dagster

    from orchestration import writer

    # A disk that is full stays full: trying the step again, after a pause, is the same once more.
    writer.RETRIES = dagster.RetryPolicy(max_retries=0)
    import orchestration.definitions  # noqa: F401

    answer()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            become(order)
        _, status = os.waitpid(child, 0)
        if order["learn"]:
            learn(modules_of(order).read_text().split())
        answer(code=os.waitstatus_to_exitcode(status))
    os._exit(0)


if __name__ == "__main__":
    main()
