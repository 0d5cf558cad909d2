"""Bad data is stopped at the gate, whoever starts the run; consumers keep the last good state."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import duckdb
from platform_under_test import Sluice

from warehouse.settings import PROJECT_ROOT

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


def test_implausible_amounts_close_the_gate_and_readers_keep_the_last_good_snapshot(
    own_demo: Sluice,
) -> None:
    before = collected(own_demo)
    own_demo("simulate", "--defect", "implausible-amounts")
    stop = own_demo.folder / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(own_demo.settings.published_path), str(stop)],
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

    assert "raw.billing.payments" in run.stdout
    assert "raw.billing.payments" in shut(own_demo)
    assert collected(own_demo) == before
    assert "finance_revenue_monthly" in stale(own_demo)
    # Unrelated branches went on.
    assert "product_active_users_daily" not in stale(own_demo)

    # A hand that selects one mart meets the same closed gate, and rebuilds nothing.
    alone = own_demo("run", "--select", "finance_revenue_monthly", code=4)
    assert "payments" in alone.stdout
    assert collected(own_demo) == before


def test_a_refused_file_closes_its_source_until_it_is_set_aside(own_demo: Sluice) -> None:
    own_demo("simulate", "--defect", "missing-column")
    run = own_demo("run", code=4)
    assert "currency" in run.stdout
    status: Any = own_demo.json("status")
    reasons = {each["dataset"]: each["because"] for each in status["gates"]["shut"]}
    assert "currency" in reasons["raw.billing.invoices"]
    file = next(
        word.strip(":;,")
        for word in reasons["raw.billing.invoices"].split()
        if word.startswith("billing/invoices/")
    )
    own_demo("set-aside", file, "--because", "the export was broken")
    own_demo("simulate", "--mend")
    own_demo("run")
    assert shut(own_demo) == set()
    assert stale(own_demo) == set()


def test_a_killed_run_leaves_the_snapshot_whole_and_the_next_run_carries_on(
    own_demo: Sluice,
) -> None:
    before = own_demo.json("published", "list")
    own_demo("simulate", "--next-day")
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "cli.main", "run"],
        cwd=PROJECT_ROOT, env=dict(own_demo.environment), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "✓ staging" in line:
            break
    process.kill()
    process.wait()
    assert own_demo.json("published", "list") == before
    assert shut(own_demo) != set()
    own_demo("run")
    assert shut(own_demo) == set()
    assert len(own_demo.json("published", "list")) == len(before) + 1  # type: ignore[arg-type]


def test_a_second_run_waits_for_the_first(own_demo: Sluice) -> None:
    holding = subprocess.Popen(
        [
            sys.executable, "-c",
            "import time; from warehouse.settings import settings\n"
            "from warehouse.workshop import writing\n"
            "with writing(settings(), 'another run'):\n"
            "    print('holding', flush=True); time.sleep(120)",
        ],
        cwd=PROJECT_ROOT, env=dict(own_demo.environment), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holding.stdout is not None and holding.stdout.readline() == "holding\n"
    try:
        status: Any = own_demo.json("status")
        assert status["writer"]["purpose"] == "another run"
        impatient = {**own_demo.environment, "SLUICE_LOCK_WAIT_SECONDS": "0.5"}
        told = Sluice(own_demo.folder, impatient)("set-aside", "x/y/z", "--because", "b", code=3)
        assert "another run" in told.stderr
    finally:
        holding.kill()
        holding.wait()
    own_demo("run", "--select", "seeds.plans")
