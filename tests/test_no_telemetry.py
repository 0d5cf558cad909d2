"""Nothing we run reports home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from platform_under_test import WATCHED, WATCHER, Demo

LOOPBACK = ("'127.0.0.1'", "'::1'", "'localhost'", "'/", "b'/")
# To nobody: a range that is kept free for examples. A datagram's address is set, and none is sent.
ATTEMPT = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"


def beyond(noted: Iterable[str]) -> list[str]:
    connections = [line for line in noted if not line.startswith(WATCHED)]
    return [line for line in connections if not any(each in line for each in LOOPBACK)]


def test_no_process_of_the_demo_opens_a_connection_beyond_loopback(demo: Demo) -> None:
    assert any(line.startswith(WATCHED) for line in demo.connections), "nobody looked"
    assert beyond(demo.connections) == []


def test_an_attempt_would_have_been_noted_in_a_process_of_a_process_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCHER)
    log = tmp_path / "connections.log"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ATTEMPT!r}])"
    subprocess.run(
        [sys.executable, "-c", outer],
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "SLUICE_TEST_CONNECTIONS": str(log),
        },
    )
    noted = log.read_text().splitlines()
    assert sum(line.startswith(WATCHED) for line in noted) == 2
    assert beyond(noted) == ["socket.connect ('192.0.2.1', 9)"]
