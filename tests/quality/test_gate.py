"""The gate's state outlives processes, and is closed unless somebody proved otherwise."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from gated_company import (
    FACTS,
    FUNNEL,
    LEADS,
    PAYMENTS,
    REVENUE,
    STAGED,
    deliver,
    write,
)

from catalog.catalog import Catalog
from catalog.leaks import KeptBack
from quality import by_hand, downstream, gate
from quality.evaluate import evaluate
from quality.evaluation import CheckResult, Evaluation, closed
from warehouse.backfills import Hold
from warehouse.clock import wall_clock
from warehouse.errors import SettingsError
from warehouse.publish import PublicTable
from warehouse.settings import PROJECT_ROOT, Settings

GOOD = CheckResult("row_count", "row_count", "rows", "pass", 1.0, "must be more than 0")
BAD = CheckResult("row_count", "row_count", "rows", "fail", 0.0, "must be more than 0")


def judged(key: str, check: CheckResult = GOOD) -> Evaluation:
    return Evaluation(key, (check,))


def open_all(settings: Settings, catalog: Catalog) -> None:
    gate.record(settings, [judged(key) for key in catalog.datasets], "run-1")


def test_what_was_never_evaluated_is_not_open(settings_here: Settings) -> None:
    state = gate.states(settings_here, [PAYMENTS])[PAYMENTS]
    assert (state.state, state.is_open) == ("never", False)


def test_an_evaluation_without_checks_is_closed(settings_here: Settings) -> None:
    gate.record(settings_here, [Evaluation(PAYMENTS, ())], "run-1")
    assert gate.states(settings_here, [PAYMENTS])[PAYMENTS].state == "closed"


def test_the_state_is_known_to_other_processes(settings_here: Settings) -> None:
    gate.record(settings_here, [judged(PAYMENTS), judged(LEADS, BAD)], "run-1")
    script = (
        "from pathlib import Path; import sys;"
        "from warehouse.settings import Settings; from quality import gate;"
        "found = gate.states(Settings(data_dir=Path(sys.argv[1])), sys.argv[2:]);"
        "print(*[f'{each.key}={each.state}:{each.reason}' for each in found.values()], sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(settings_here.data_dir), PAYMENTS, LEADS],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == (f"{PAYMENTS}=open:|{LEADS}=closed:rows: 0, must be more than 0")


pytest_plugins = ["gated_company"]


def test_a_rebuild_that_died_leaves_the_gate_closed(settings_here: Settings) -> None:
    gate.record(settings_here, [judged(FACTS)], "run-1")
    opened = gate.states(settings_here, [FACTS])[FACTS].since
    gate.mark_pending(settings_here, [FACTS], "run-2")
    state = gate.states(settings_here, [FACTS])[FACTS]
    assert (state.state, state.is_open) == ("pending", False)
    assert "run-2" in state.reason
    gate.record(settings_here, [judged(FACTS)], "run-3")
    assert gate.states(settings_here, [FACTS])[FACTS].since == opened


def test_a_closed_gate_keeps_its_first_moment_through_retries(settings_here: Settings) -> None:
    gate.record(settings_here, [judged(FACTS, BAD)], "run-1")
    first = gate.states(settings_here, [FACTS])[FACTS].since
    for run in ("run-2", "run-3"):
        gate.mark_pending(settings_here, [FACTS], run)
        gate.record(settings_here, [closed(FACTS, "dbt", "a test failed")], run)
    state = gate.states(settings_here, [FACTS])[FACTS]
    assert (state.state, state.since) == ("closed", first)
    gate.record(settings_here, [judged(FACTS)], "run-4")
    state = gate.states(settings_here, [FACTS])[FACTS]
    assert state.is_open and state.since is not None and first is not None
    assert state.since > first


def test_the_state_comes_from_the_log_alone(settings_here: Settings, catalog: Catalog) -> None:
    open_all(settings_here, catalog)
    gate.record(settings_here, [judged(FACTS, BAD)], "run-2")
    expected = gate.states(settings_here, catalog.datasets)
    summary = Path(settings_here.landing_url) / "platform" / "gates" / ".latest.json"
    kept = summary.read_bytes()
    summary.unlink()
    assert gate.states(settings_here, catalog.datasets) == expected
    # A writer that died before its summary: the newer event still counts.
    gate.record(settings_here, [judged(FACTS)], "run-3")
    summary.write_bytes(kept)
    assert gate.states(settings_here, [FACTS])[FACTS].is_open
    summary.write_text("{broken")
    assert gate.states(settings_here, [FACTS])[FACTS].is_open
    # A landing zone that was emptied remembers nothing, summary or not.
    summary.write_bytes(kept)
    for day in summary.parent.glob("20*"):
        shutil.rmtree(day)
    assert gate.states(settings_here, [FACTS])[FACTS].state == "never"


def soon(hours: float = 4) -> datetime:
    return wall_clock() + timedelta(hours=hours)


def test_a_gate_opened_by_hand_stays_open_through_failing_evaluations_until_its_time_is_over(
    settings_here: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_all(settings_here, catalog)
    gate.record(settings_here, [judged(FACTS, BAD)], "run-1")
    closed_since = gate.states(settings_here, [FACTS])[FACTS].since
    until = soon()
    by_hand.open_anyway(settings_here, FACTS, "ada", "the drop is real, a holiday", until)
    for run in ("run-2", "run-3"):
        gate.mark_pending(settings_here, [FACTS], run)
        assert not gate.states(settings_here, [FACTS])[FACTS].is_open
        gate.record(settings_here, [judged(FACTS, BAD)], run)
        state = gate.states(settings_here, [FACTS])[FACTS]
        assert state.is_open and state.is_overridden
        assert "ada" in state.reason and "a holiday" in state.reason and "rows: 0" in state.reason
        assert downstream.buildable(catalog, {FACTS: state}, [])[1] == {}
    monkeypatch.setattr(gate, "wall_clock", lambda: until + timedelta(seconds=1))
    state = gate.states(settings_here, [FACTS])[FACTS]
    assert (state.state, state.since) == ("closed", closed_since)
    assert "an override by ada ended" in state.reason
    gate.record(settings_here, [judged(FACTS, BAD)], "run-4")
    assert gate.states(settings_here, [FACTS])[FACTS].since == closed_since


def test_a_passing_evaluation_ends_an_override(settings_here: Settings) -> None:
    gate.record(settings_here, [judged(FACTS, BAD)], "run-1")
    by_hand.open_anyway(settings_here, FACTS, "ada", "a holiday", soon())
    gate.record(settings_here, [judged(FACTS)], "run-2")
    state = gate.states(settings_here, [FACTS])[FACTS]
    assert state.is_open and not state.is_overridden
    gate.record(settings_here, [judged(FACTS, BAD)], "run-3")
    assert not gate.states(settings_here, [FACTS])[FACTS].is_open


def test_a_gate_is_not_opened_without_reason_or_for_ever_or_when_it_is_not_closed(
    settings_here: Settings,
) -> None:
    gate.record(settings_here, [judged(FACTS, BAD), judged(REVENUE)], "run-1")
    for key, because, until, complaint in (
        (FACTS, " ", soon(), "without a reason"),
        (FACTS, "so", soon(-1), "cannot be opened until"),
        (FACTS, "so", soon(24 * 365), "within the next 14 days"),
        (REVENUE, "so", soon(), "Only a closed gate"),
        (STAGED, "so", soon(), "never"),
    ):
        with pytest.raises(SettingsError, match=complaint):
            by_hand.open_anyway(settings_here, key, "ada", because, until)
    assert not gate.states(settings_here, [FACTS])[FACTS].is_open


def test_a_gate_closed_by_hand_opens_with_its_next_passing_evaluation(
    settings_here: Settings,
) -> None:
    gate.record(settings_here, [judged(FACTS)], "run-1")
    state = by_hand.close_by_hand(settings_here, FACTS, "ada", "the bank called")
    assert (state.state, state.reason) == ("closed", "closed by ada: the bank called")
    gate.record(settings_here, [judged(FACTS)], "run-2")
    assert gate.states(settings_here, [FACTS])[FACTS].is_open


def test_a_table_that_was_not_rebuilt_after_its_parents_changed_is_called_stale_and_says_so(
    settings_here: Settings, catalog: Catalog
) -> None:
    def rebuilt(key: str, content: str, run: str) -> None:
        gate.mark_pending(settings_here, [key], run)
        gate.record(settings_here, [Evaluation(key, (GOOD,), content=content)], run)

    def revenue() -> PublicTable:
        plan = downstream.publish_plan(catalog, gate.states(settings_here, catalog.datasets), {})
        return next(each for each in plan if each.name == "finance_revenue")

    open_all(settings_here, catalog)
    for key in (STAGED, FACTS, REVENUE):
        rebuilt(key, "100 rows", "run-2")
    rebuilt(FACTS, "100 rows", "run-3")  # built again, the same
    assert revenue().fresh
    rebuilt(FACTS, "101 rows", "run-4")
    assert not revenue().fresh
    assert revenue().reason.startswith(f"older than what it reads: {FACTS} (")
    assert revenue().since == gate.states(settings_here, [FACTS])[FACTS].changed_at
    rebuilt(REVENUE, "100 rows", "run-5")  # which made no difference to it
    assert revenue().fresh and revenue().reason == ""


def test_below_a_closed_gate_nothing_is_built_and_other_branches_go_on(
    settings_here: Settings, catalog: Catalog
) -> None:
    open_all(settings_here, catalog)
    gate.record(settings_here, [judged(PAYMENTS, BAD)], "run-2")
    states = gate.states(settings_here, catalog.datasets)
    assert [each.key for each in downstream.closed_upstream(catalog, states, REVENUE)] == [PAYMENTS]
    can, withheld = downstream.buildable(catalog, states, [STAGED, FACTS, REVENUE, FUNNEL])
    assert can == (FUNNEL,)
    assert set(withheld) == {STAGED, FACTS, REVENUE}
    assert all("rows: 0, must be more than 0" in reason for reason in withheld.values())


def test_what_is_built_in_the_same_step_withholds_nothing(
    settings_here: Settings, catalog: Catalog
) -> None:
    gate.record(settings_here, [judged(PAYMENTS)], "run-1")
    states = gate.states(settings_here, catalog.datasets)
    assert downstream.buildable(catalog, states, [STAGED, FACTS]) == ((STAGED, FACTS), {})
    can, withheld = downstream.buildable(catalog, states, [FACTS])
    assert can == () and "never" in withheld[FACTS]


def test_what_a_backfill_holds_is_neither_built_nor_published_by_others(
    settings_here: Settings, catalog: Catalog
) -> None:
    open_all(settings_here, catalog)
    states = gate.states(settings_here, catalog.datasets)
    since = states[FACTS].since or wall_clock()
    held = {key: Hold("b-1", since) for key in (FACTS, REVENUE)}
    can, withheld = downstream.buildable(catalog, states, [STAGED, FACTS, FUNNEL], held)
    assert can == (STAGED, FUNNEL) and "backfill b-1 is under way" in withheld[FACTS]
    plan = {each.name: each for each in downstream.publish_plan(catalog, states, {}, held)}
    revenue = plan["finance_revenue"]
    assert plan["growth_funnel"].fresh and not revenue.fresh
    assert revenue.reason.startswith("backfill b-1 is under way") and revenue.since == since


def test_the_publish_plan_takes_only_what_is_open_all_the_way(
    settings_here: Settings, catalog: Catalog
) -> None:
    open_all(settings_here, catalog)
    gate.record(settings_here, [judged(FACTS, BAD)], "run-2")
    states = gate.states(settings_here, catalog.datasets)
    plan = {each.name: each for each in downstream.publish_plan(catalog, states, {})}
    assert plan["growth_funnel"].fresh
    revenue = plan["finance_revenue"]
    assert not revenue.fresh
    assert FACTS in revenue.reason
    assert revenue.since == states[FACTS].since
    assert revenue.columns[0].name == "payment_id"
    gate.record(settings_here, [judged(FACTS), judged(REVENUE, BAD)], "run-3")
    states = gate.states(settings_here, catalog.datasets)
    plan = {each.name: each for each in downstream.publish_plan(catalog, states, {})}
    assert not plan["finance_revenue"].fresh
    # Whatever its gates say, what would show too much is not published.
    told = {FUNNEL: KeptBack("lead_id is declared internal, …", {"lead_id": "personal"})}
    plan = {each.name: each for each in downstream.publish_plan(catalog, states, told)}
    funnel = plan["growth_funnel"]
    assert (funnel.fresh, funnel.reason) == (False, "lead_id is declared internal, …")
    # What stays published of it is masked as it has to be, not as it is declared.
    assert funnel.masked == ("lead_id",)


NO_NEGATIVES = """
window_days: 1
checks:
  - row_count:
  - metric:
      name: rows that are due
      query: >-
        select count(*) from raw_billing.payments where _batch_id > '${var.AFTER_BATCH}'::bigint
      threshold: {must_be_greater_than: 0}
columns:
  - name: amount
    checks:
      - invalid: {valid_min: 0}
"""


@pytest.fixture
def run(
    settings_here: Settings,
    catalog: Catalog,
    company: duckdb.DuckDBPyConnection,
    checks_dir: Path,
) -> object:
    write(checks_dir, PAYMENTS, NO_NEGATIVES)

    def once() -> tuple[bool, float | None]:
        evaluations = evaluate(settings_here, catalog, company, [PAYMENTS], folder=checks_dir)
        gate.record(settings_here, evaluations, "run")
        rows = next(each for each in evaluations[0].checks if each.type == "row_count")
        asked = next(each for each in evaluations[0].checks if each.type == "metric")
        assert asked.value == rows.value
        return evaluations[0].is_open, rows.value

    return once


def test_a_source_is_checked_from_where_its_gate_last_stood_open(
    run: object, company: duckdb.DuckDBPyConnection, settings_here: Settings
) -> None:
    assert callable(run)
    assert run() == (True, 100)  # the first time: everything
    assert run() == (True, 50)  # then the newest day received on
    deliver(company, 3, "2026-04-01", "select 'bad', -1, 'USD'")
    assert run() == (False, 1)
    for batch in (4, 5):  # good batches do not bury the bad one
        deliver(company, batch, f"2026-04-0{batch}", "select 'good', 1, 'USD'")
        assert run()[0] is False
    assert run() == (False, 3)
    # Opened for a while, they are looked at again; accepted, they are not.
    by_hand.open_anyway(settings_here, PAYMENTS, "ada", "one credit note, known", soon())
    assert run() == (False, 3)
    assert gate.states(settings_here, [PAYMENTS])[PAYMENTS].is_overridden
    by_hand.close_by_hand(settings_here, PAYMENTS, "ada", "enough")
    by_hand.accept(settings_here, PAYMENTS, "ada", "one credit note, known")
    assert run() == (True, 1)
    deliver(company, 6, "2026-04-06", "select 'bad', -1, 'USD'")
    assert run() == (False, 1)


def test_raw_that_was_rebuilt_from_landing_is_checked_whole_again(
    run: object, company: duckdb.DuckDBPyConnection
) -> None:
    assert callable(run)
    assert run() == (True, 100)
    company.execute("update raw_ledger.batches set loaded_at = now() + interval 1 second")
    assert run() == (True, 100)


def test_a_state_that_is_confirmed_is_what_it_was_and_holds_since(settings_here: Settings) -> None:
    gate.mark_pending(settings_here, [REVENUE], "run-1")
    found = Evaluation(REVENUE, (CheckResult("c", "row_count", "rows", "pass", 1.0),))
    gate.record(settings_here, [found], "run-1")
    before = gate.states(settings_here, [REVENUE])[REVENUE]
    gate.confirm(settings_here, [REVENUE, FACTS], "run-2")
    for _ in ("by the summary", "by the log"):
        after = gate.states(settings_here, [REVENUE, FACTS])
        # What was never judged is not confirmed.
        assert after[FACTS].state == "never"
        confirmed_at = after[REVENUE].confirmed_at
        assert confirmed_at is not None and confirmed_at == after[REVENUE].passed_at
        assert replace(after[REVENUE], confirmed_at=None) == before
        (Path(settings_here.landing_url) / "platform/gates/.latest.json").unlink(missing_ok=True)
    gate.mark_pending(settings_here, [REVENUE], "run-3")
    assert gate.states(settings_here, [REVENUE])[REVENUE].passed_at is None
