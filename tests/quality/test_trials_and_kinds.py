"""What a failing check does: it closes, warns, or is on trial; and of what kind a closing is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from gated_company import FACTS, FUNNEL, PAYMENTS, REVENUE, STAGED, Catalog, Check, write
from platform_under_test import Demo

from catalog.leaks import KeptBack
from quality import downstream, gate
from quality.checks import CheckFileError, load, overdue
from quality.evaluate import evaluate
from quality.evaluation import CheckResult, Evaluation, closed
from warehouse.clock import wall_clock
from warehouse.settings import PROJECT_ROOT, Settings

pytest_plugins = ["gated_company"]


def on_trial(until: date, kind: str = "row_count", body: str = "threshold: {must_be: 7}") -> str:
    return (
        f"checks:\n  - {kind}:\n      {body}\n"
        f"      observe_only: {{until: {until}, because: we do not know it yet}}\n"
    )


def test_a_check_on_trial_is_told_and_does_not_close_until_its_last_day(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = wall_clock()
    today = now.date()
    # It stays this day to the end of the test.
    monkeypatch.setattr("quality.evaluate.wall_clock", lambda: now)
    for until in (today, today + timedelta(1)):
        found = check(REVENUE, on_trial(until))
        assert found.is_open and found.kind == ""
        result = found.checks[-1]
        assert (result.outcome, result.is_observed) == ("fail", True)
        assert found.reason == "rows: 100, must be 7 (on trial)"
    found = check(REVENUE, on_trial(today - timedelta(1)))
    assert not found.is_open and not found.checks[-1].is_observed


def test_a_check_on_trial_that_cannot_be_evaluated_does_not_close_either(check: Check) -> None:
    tomorrow = wall_clock().date() + timedelta(1)
    body = "expression: currency::int > 0"
    assert check(REVENUE, on_trial(tomorrow, "failed_rows", body)).is_open


def test_a_dataset_whose_every_check_is_on_trial_has_none() -> None:
    trial = CheckResult("a", "row_count", "a", "pass", is_observed=True)
    assert not Evaluation("marts.a", (trial,)).is_open


@pytest.mark.parametrize(
    "trial, complaint",
    [
        ("{until: 2026-12-31}", "needs `until` and `because`"),
        ("{until: soon, because: x}", "`until` must be a day"),
        ("{until: '2026-12-31', because: x}", "`until` must be a day"),
        ("{untill: 2026-12-31, because: x}", "did you mean `until`?"),
    ],
)
def test_a_trial_has_an_end_and_a_reason(
    trial: str, complaint: str, catalog: Catalog, checks_dir: Path
) -> None:
    write(checks_dir, REVENUE, f"checks:\n  - row_count:\n      observe_only: {trial}\n")
    with pytest.raises(CheckFileError, match=r"finance_revenue\.yml:3: ") as raised:
        load(catalog, catalog[REVENUE], checks_dir)
    assert complaint in raised.value.what


def test_a_trial_that_has_ended_is_pointed_out(catalog: Catalog, checks_dir: Path) -> None:
    path = write(checks_dir, REVENUE, on_trial(date(2026, 3, 31)))
    assert overdue(catalog, date(2026, 3, 31), checks_dir) == []
    [warning] = overdue(catalog, date(2026, 4, 1), checks_dir)
    assert warning.startswith(f"{path}:2: ") and "we do not know it yet" in warning


def test_every_closing_has_its_kind(check: Check, company: duckdb.DuckDBPyConnection) -> None:
    assert closed(REVENUE, "load", "a.csv: broken").kind == "load_refused"
    assert closed(REVENUE, "dbt", "unique_a fail: Got 1 result").kind == "dbt_failed"
    assert closed(REVENUE, "check file", "misspelt").kind == "not_evaluated"
    assert check(REVENUE, "checks:\n  - row_count: {threshold: {must_be: 7}}\n").kind == (
        "check_failed"
    )
    stale = "update raw_ledger.batches set file = 'billing/payments/2020-01-01/' || batch_id"
    company.execute(stale)
    assert check(PAYMENTS).kind == "freshness"
    both = check(PAYMENTS, "checks:\n  - row_count: {threshold: {must_be: 7}}\n")
    assert both.kind == "check_failed" and "hours behind" in both.reason
    company.execute("alter table marts.finance_revenue drop currency")
    assert check(REVENUE).kind == "schema"
    assert check(REVENUE, "checks:\n  - row_count:\n").checks[0].expected_low is None


def test_values_come_with_what_was_expected(check: Check) -> None:
    found = check(
        REVENUE,
        "checks:\n  - row_count:\n      threshold:\n"
        "        must_be_between: {greater_than: 1, less_than: 200}\n"
        "        additional: {level: warn, must_be_less_than: 150}\n",
    )
    result = found.checks[-1]
    assert (result.expected_low, result.expected_high) == (1, 200)


def test_the_linter_fails_on_a_bad_check_file_and_names_line_and_word(
    demo: Demo, tmp_path: Path
) -> None:
    """What `make lint` runs, on the real project with one file broken and one forgotten."""
    folder = tmp_path / "checks"
    shutil.copytree(PROJECT_ROOT / "quality" / "checks", folder)
    path = folder / "marts" / "finance_mrr_daily.yml"
    path.write_text("checks:\n  - failed_rows: {expression: mrr_usd_amuont > 0}\n")
    (folder / "marts" / "accounts_overview.yml").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "quality", str(folder)],
        cwd=PROJECT_ROOT,
        env=dict(demo.sluice.environment),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"{path}:2: `mrr_usd_amuont` is not a column" in done.stderr
    assert "did you mean `mrr_usd_amount`?" in done.stderr
    assert "marts.accounts_overview is public and has no check file" in done.stderr
    faults = [each for each in done.stderr.splitlines() if "it counts now" not in each]
    assert len(faults) == 4
    assert "-m quality" in (PROJECT_ROOT / "Makefile").read_text()


def test_a_table_that_calls_its_columns_too_little_is_shut_and_says_so_once(
    settings_here: Settings, catalog: Catalog, company: duckdb.DuckDBPyConnection, checks_dir: Path
) -> None:
    """The publish keeps it back, too; whose table it is hears of it by the gate."""
    write(checks_dir, REVENUE, "checks:\n  - row_count:\n")
    what = "currency is declared internal, and what reaches it is personal"
    leaking = {REVENUE: KeptBack(f"its classification: {what}", {"currency": "personal"})}
    keys = (PAYMENTS, STAGED, FACTS, REVENUE)
    judged = evaluate(settings_here, catalog, company, keys, folder=checks_dir, kept_back=leaking)
    gate.record(settings_here, judged, "run")
    states = gate.states(settings_here, catalog.datasets)
    assert judged[-1].kind == states[REVENUE].kind == "called_too_little"
    [table, _] = sorted(
        downstream.publish_plan(catalog, states, leaking), key=lambda each: each.name
    )
    assert table.name == "finance_revenue" and not table.fresh
    assert table.reason.count(what) == 1 and table.since == states[REVENUE].closed_since
    # Its rows are right: what reads it goes on, until something else is wrong with them.
    below = replace(catalog[FUNNEL], key="marts.below", name="below", parents=(REVENUE,))
    wider = replace(catalog, datasets={**catalog.datasets, below.key: below})
    assert downstream.closed_upstream(wider, states, below.key) == ()
    write(checks_dir, REVENUE, "checks:\n  - row_count: {threshold: {must_be: 7}}\n")
    judged = evaluate(settings_here, catalog, company, keys, folder=checks_dir, kept_back=leaking)
    gate.record(settings_here, judged, "run")
    states = gate.states(settings_here, catalog.datasets)
    assert [each.key for each in downstream.closed_upstream(wider, states, below.key)] == [REVENUE]
