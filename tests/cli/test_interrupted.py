"""Two at once, and Ctrl-C: one waits for the other, and nothing half-done stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

from platform_under_test import Sluice, sluice_in

from warehouse.settings import PROJECT_ROOT
from warehouse.workshop import writing

SELECTED = ("run", "--select", "metrics_time_spine")


def started(sluice: Sluice, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", *words],
        cwd=PROJECT_ROOT, env=dict(sluice.environment), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_second_run_says_for_whom_it_waits_and_goes_on_afterwards(own_demo: Sluice) -> None:
    with writing(own_demo.settings, "somebody's long work"):
        run = started(own_demo, *SELECTED)
        assert run.stdout is not None
        first = run.stdout.readline()
        assert "Waiting for somebody's long work (pid " in first
        status: Any = own_demo.json("status")
        assert status["writer"]["purpose"] == "somebody's long work"
        impatient = sluice_in(own_demo.folder, SLUICE_LOCK_WAIT_SECONDS="0")
        assert "still being written by somebody's long work" in impatient(*SELECTED, code=3).stderr
    told, complaints = run.communicate(timeout=120)
    assert run.returncode == 0, complaints
    assert "✓ metrics_reference: 1/1 models" in told


def test_ctrl_c_stops_a_run_with_a_word_and_the_next_one_carries_on(own_demo: Sluice) -> None:
    before: Any = own_demo.json("published", "list")
    own_demo("simulate", "--next-day")
    run = started(own_demo, "run")
    assert run.stdout is not None
    while "✓ load events" not in run.stdout.readline():
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    _, complaints = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "Stopped. Nothing half-loaded or half-published stays" in complaints

    after: Any = own_demo.json("published", "list")
    assert [each["snapshot_id"] for each in after] == [each["snapshot_id"] for each in before]
    assert own_demo("run").stdout.count("✗") == 0
    newest: Any = own_demo.json("published", "list")
    assert newest[0]["as_of"] > before[0]["as_of"] and newest[0]["stale_count"] == 0
