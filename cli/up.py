"""`sluice up`: Dagster's UI and daemon."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import click

from cli.output import say
from warehouse.settings import PROJECT_ROOT, settings

PREFERRED_PORT = 3000


@click.command()
@click.option("--port", type=int, help="Default: 3000, or a free one where 3000 is taken.")
def up(port: int | None) -> None:
    """Start Dagster's UI and daemon, on a free port that is printed; Ctrl-C stops both."""
    from orchestration.running import prepare_dagster_home

    home = prepare_dagster_home(settings())
    chosen = port or _free_port()
    say(f"Dagster: http://127.0.0.1:{chosen}   (Ctrl-C stops it; runs are kept in {home})")
    sys.stdout.flush()
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "--module-name"]
    command += ["orchestration.definitions", "--host", "127.0.0.1", "--port", str(chosen)]
    command += ["--log-level", "warning"]
    environment = {**os.environ, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.wait()
        code = 0
    sys.exit(code)


def _free_port() -> int:
    for wanted in (PREFERRED_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("the system always has a free port")
