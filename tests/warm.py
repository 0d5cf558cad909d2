"""`sluice` commands as forks of one process that has imported everything: a second, not eight.

`Warm` starts this file as a process of its own and sends it an order for each command; what it
forks is what a user starts: `main` in a process with its own environment, which can be killed.
That a command also starts cold is seen wherever `sluice` itself is run: the demo, its tour, CI.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from warehouse.settings import PROJECT_ROOT

# Made when imported, of the project that the settings of that moment name.
NOT_TO_LEARN = {"orchestration.definitions"}
ADDRESS, OUT, ERR, MODULES = "orders", "out", "err", "modules"


class Warm:
    """Starts `sluice` commands; each command word teaches the process what it has to import."""

    def __init__(self, first: Sequence[str] = (), environment: Mapping[str, str] = os.environ):
        """`first`: modules that it begins with, imported in this environment."""
        # The address of a socket must be short.
        self.place = Path(tempfile.mkdtemp(prefix="warm-"))
        self._learned: set[str] = set()
        here = Path(__file__)
        self._process = subprocess.Popen(
            [sys.executable, str(here), str(self.place / ADDRESS), *first],
            cwd=PROJECT_ROOT,
            env={**environment, "PYTHONPATH": f"{PROJECT_ROOT}:{here.parent}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the warm process did not start"

    def __call__(
        self, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        folder = Path(tempfile.mkdtemp(dir=self.place))
        order = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder),
            "learn": arguments[0] not in self._learned,
        }
        self._learned.add(arguments[0])
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.place / ADDRESS))
            with connection.makefile("rw") as line:
                line.write(json.dumps(order) + "\n")
                line.flush()
                code = int(line.readline())
        out, err = (folder / OUT).read_text(), (folder / ERR).read_text()
        shutil.rmtree(folder)
        return subprocess.CompletedProcess(["sluice", *arguments], code, out, err)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        shutil.rmtree(self.place)


def become(order: dict[str, Any]) -> None:
    import cli.doctor
    import cli.main
    from warehouse.settings import settings

    os.environ.clear()
    os.environ.update(order["environment"])
    # What `sluice` does when it starts.
    for name, value in cli.doctor.OFF.items():
        os.environ.setdefault(name, value)
    settings.cache_clear()
    folder = Path(order["folder"])
    _redirect(0, os.devnull, os.O_RDONLY)
    for number, name in ((1, OUT), (2, ERR)):
        _redirect(number, folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    before = set(sys.modules)
    sys.argv = ["sluice", *order["arguments"]]
    code = 0
    try:
        cli.main.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    (folder / MODULES).write_text("\n".join(sorted(set(sys.modules) - before)))
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()
    # What all the imports made need not be taken down by each child.
    os._exit(code)


def _redirect(number: int, to: str | Path, how: int) -> None:
    opened = os.open(to, how, 0o600)
    os.dup2(opened, number)
    os.close(opened)


def learn(modules: Iterable[str]) -> None:
    """Import what a child had to import, so that the next ones need not."""
    for name in modules:
        if name not in NOT_TO_LEARN:
            with suppress(Exception):
                importlib.import_module(name)
    gc.freeze()


def carry_out(order: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        become(order)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def serve(address: str) -> None:
    """One order a connection; a command may run beside others."""
    with socket.socket(socket.AF_UNIX) as door, selectors.DefaultSelector() as waiting:
        door.bind(address)
        door.listen()
        waiting.register(door, selectors.EVENT_READ)
        # Closed when whoever started us is gone.
        waiting.register(sys.stdin, selectors.EVENT_READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while all(key.fileobj is door for key, _ in waiting.select()):
            connection, _ = door.accept()
            with connection, connection.makefile("rw") as line:
                order = json.loads(line.readline())
                if order["learn"]:
                    code = carry_out(order)
                    with suppress(FileNotFoundError):  # It was killed.
                        learn((Path(order["folder"]) / MODULES).read_text().split())
                    line.write(f"{code}\n")
                elif os.fork() == 0:
                    line.write(f"{carry_out(order)}\n")
                    line.flush()
                    os._exit(0)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


if __name__ == "__main__":
    sys.path[0] = str(PROJECT_ROOT)
    learn(["cli.main"])
    for each in sys.argv[2:]:
        importlib.import_module(each)
    serve(sys.argv[1])
