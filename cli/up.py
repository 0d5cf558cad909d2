"""`sluice up`: Dagster's UI and daemon."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click

from cli.output import say
from warehouse.alone import alone_or_refused
from warehouse.settings import PROJECT_ROOT, settings

PREFERRED_PORT = 3000


@click.command()
@click.option("--port", type=int, help="Default: 3000, or a free one where 3000 is taken.")
def up(port: int | None) -> None:
    """Start Dagster's UI and daemon; Ctrl-C stops both.

    On a free port, which is printed.
    """
    from orchestration.running import prepare_dagster_home

    home = prepare_dagster_home(settings())
    place = home / "up.address"
    there = place.read_text() if place.exists() else ""
    with alone_or_refused(
        home / "up.lock",
        f"Dagster runs already on {home}: {there}",
        "Open that address, or stop that `sluice up`: two daemons would start each run twice.",
    ):
        chosen = port or _free_port()
        if port is not None and not _is_free(port):
            raise click.UsageError(f"Port {port} is taken. Without --port a free one is found.")
        address = f"http://127.0.0.1:{chosen}"
        place.write_text(address)
        try:
            sys.exit(_serve(chosen, address, home))
        finally:
            place.unlink(missing_ok=True)


def _serve(port: int, address: str, home: Path) -> int:
    """Until it ends, or somebody stops us: then both of Dagster's processes stop, too."""
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "--module-name"]
    command += ["orchestration.definitions", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--log-level", "warning"]
    environment = {**os.environ, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    say("Dagster starts …")
    sys.stdout.flush()
    # Whom a script starts in the background is deaf to Ctrl-C, and so would be whom it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment)
    # A service manager's SIGTERM is a Ctrl-C: unheard, it would leave Dagster without us.
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    try:
        while process.poll() is None and not _answers(port):
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.3)
        if process.poll() is None:
            say(f"Dagster: {address}   (lineage: /asset-groups, runs: /runs; Ctrl-C stops it)")
            sys.stdout.flush()
        return process.wait()
    except KeyboardInterrupt:
        # The terminal has told Dagster, too.
        process.wait()
        return 0


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    if _is_free(PREFERRED_PORT):
        return PREFERRED_PORT
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
