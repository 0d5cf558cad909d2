"""Bad data is stopped at the gate, whoever starts the run; consumers keep the last good state."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import duckdb
from platform_under_test import NO_PROMPT, Sluice

from catalog.leaks import KeptBack
from orchestration.progress import Told
from orchestration.publishing import told_of
from quality.gate_state import GateState

# Opens the pointer anew each time, as a BI tool would, and prints what it saw until told to stop.
READER = """
import sys, time, duckdb
pointer, stop = sys.argv[1], sys.argv[2]
import pathlib
seen, looks = set(), 0
while not pathlib.Path(stop).exists():
    with duckdb.connect(pointer, read_only=True) as connection:
        rows = connection.execute(
            "select sum(collected_usd_amount) from published.finance_revenue_monthly").fetchall()
    seen.add(str(rows[0][0])); looks += 1
    time.sleep(0.02)
print(looks, *sorted(seen))
"""


def collected(sluice: Sluice) -> Any:
    with duckdb.connect(str(sluice.settings.published_path.resolve()), read_only=True) as reader:
        return reader.execute(
            "select sum(collected_usd_amount) from published.finance_revenue_monthly"
        ).fetchall()


def shut(sluice: Sluice) -> set[str]:
    status: Any = sluice.json("status")
    return {each["dataset"] for each in status["gates"]["shut"]}


def stale(sluice: Sluice) -> set[str]:
    status: Any = sluice.json("status")
    return {each["table"] for each in status["published"]["stale"]}


def test_lines_that_are_held_back_are_told_if_one_of_them_is_wrong() -> None:
    heard: list[str] = []
    told = Told(heard.append)
    for wrong in ("", "✗ gate raw_platform: 50 checks"):
        told.holds = True
        for line in ("✓ load platform: 29 files", "… waiting for run 1", wrong):
            told(line)
        told.let_go("✓ report: 39 tables")
    told("✗ load billing:  a file is  broken")
    assert heard == [
        "… waiting for run 1", "✓ report: 39 tables",
        "… waiting for run 1", "✓ load platform: 29 files", "✗ gate raw_platform: 50 checks",
        "✗ load billing:  a file is  broken",
    ]  # fmt: skip
    assert told.has_said("a file is broken") and not told.has_said("another one is")


def test_a_model_that_dbt_cannot_run_is_not_said_to_be_called_too_little() -> None:
    keys = ("marts.a", "marts.b", "marts.c", "marts.d")
    leaking = {key: KeptBack(f"{key} is public", {}) for key in keys}
    states = {
        "marts.a": GateState("marts.a", "closed", reason="dbt: a error: syntax error"),
        "marts.b": GateState("marts.b", "closed", reason="its classification: b is public"),
        # It was built, so its columns can be followed, whatever a test says of its rows.
        "marts.d": GateState("marts.d", "closed", reason="dbt: unique_d_id fail: 3 rows"),
    }
    assert list(told_of(leaking, states)) == ["marts.b", "marts.c", "marts.d"]


def test_implausible_amounts_close_the_gate_and_readers_keep_the_last_good_snapshot(
    own_demo: Sluice,
) -> None:
    before = collected(own_demo)
    own_demo("simulate", "--defect", "implausible-amounts")
    stop = own_demo.folder / "stop"
    pointer = str(own_demo.settings.published_path)
    reader = subprocess.Popen(
        [sys.executable, "-c", NO_PROMPT + READER, pointer, str(stop)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        run = own_demo("run", code=4)
    finally:
        stop.touch()
        seen, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    looks, *amounts = seen.split()
    assert int(looks) > 20 and amounts == [str(before[0][0])]

    # What is wrong is said once, what the platform did about itself in one line.
    assert run.stdout.count("shut: raw.billing.payments: average payment: ") == 1
    assert "blocking asset check" not in run.stdout and "load platform" not in run.stdout
    assert run.stdout.count("… report: ") == run.stdout.count("✓ report: ") == 1
    assert "raw.billing.payments" in shut(own_demo)
    assert collected(own_demo) == before
    assert "finance_revenue_monthly" in stale(own_demo)
    # Unrelated branches went on, and metrics wait for what they read alone.
    assert "✓ metrics: " in run.stdout
    assert "wait for tables that stay as they were" in run.stdout
    assert "product_active_users_daily" not in stale(own_demo)
