"""Values are held against their own past: in the data's days, or in the gate's events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from gated_company import PAYMENTS, REVENUE, Catalog, dataset, deliver, write

from quality import by_hand, gate
from quality.evaluate import evaluate
from quality.evaluation import CheckResult, Evaluation
from warehouse.clock import wall_clock
from warehouse.settings import Settings

pytest_plugins = ["gated_company"]

EVENTS = "curated.fct_events"
MONDAY = date(2026, 3, 2)
Run = Callable[..., Evaluation]


@pytest.fixture
def run(
    catalog: Catalog, company: duckdb.DuckDBPyConnection, checks_dir: Path, tmp_path: Path
) -> Run:
    """Evaluate and record one dataset on a day, as a gate step does."""
    events = dataset(EVENTS, {"day_on": "date", "kind": "varchar", "seconds": "double"})
    everything = Catalog({**catalog.datasets, EVENTS: events}, {}, {})

    def once(day: date, key: str, text: str) -> Evaluation:
        write(checks_dir, key, text)
        settings = Settings(data_dir=tmp_path / "data", as_of=f"{day}T04:00:00+00:00")
        gate.mark_pending(settings, [key], "run")
        [found] = evaluate(settings, everything, company, [key], folder=checks_dir)
        gate.record(settings, [found], "run")
        return found

    return once


def rows(connection: duckdb.DuckDBPyConnection, count: int) -> None:
    connection.execute("delete from marts.finance_revenue")
    connection.execute(
        f"insert into marts.finance_revenue select 'p' || i, 1, 'USD' from range({count}) r(i)"
    )


def days(connection: duckdb.DuckDBPyConnection, last: date, count: int = 42) -> None:
    """Events until a day, 1 000 a day and 100 on Saturdays and Sundays, a tenth of them mobile."""
    connection.execute(
        f"""
        create or replace table curated.fct_events as
        select day::date as day_on,
            case when i % 10 = 0 then 'mobile' else 'web' end as kind,
            60.0::double + i % 7 as seconds
        from range(date '{last}' - {count - 1}, date '{last}' + 1, interval 1 day) d(day),
            range(1000) r(i)
        where i < case when isodow(day) > 5 then 100 else 1000 end + day(day)
        """
    )


def last(found: Evaluation) -> CheckResult:
    return found.checks[-1]


OVER_TIME = """
checks:
  - change_over_time:
      compared_with: {how}
      threshold: {{metric: percent, must_be_between: {{greater_than: -50, less_than: 50}}}}
"""


def test_a_value_is_compared_with_the_day_before(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    text = OVER_TIME.format(how="previous")
    first = run(MONDAY, REVENUE, text)
    assert first.is_open and last(first).message == "learning (0 of 1 values)"
    rows(company, 140)
    assert run(MONDAY + timedelta(1), REVENUE, text).is_open
    rows(company, 60)
    found = run(MONDAY + timedelta(2), REVENUE, text)
    assert not found.is_open
    assert found.reason == ("rows compared with previous: 60, expected 70 to 210 (it was 140) █▁")
    assert (last(found).expected_low, last(found).expected_high) == (70, 210)
    # What did not pass is not what tomorrow is held against.
    again = run(MONDAY + timedelta(3), REVENUE, text)
    assert not again.is_open and "it was 140" in again.reason


def test_a_second_run_of_a_day_is_not_compared_with_the_first(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    text = OVER_TIME.format(how="previous")
    run(MONDAY, REVENUE, text)
    rows(company, 140)
    run(MONDAY + timedelta(1), REVENUE, text)
    rows(company, 60)
    found = run(MONDAY + timedelta(1), REVENUE, text)
    assert found.is_open and last(found).expected_low == 50


def test_weekdays_are_compared_with_their_own(run: Run, company: duckdb.DuckDBPyConnection) -> None:
    text = OVER_TIME.format(how="same_weekday")
    for number in range(28):
        day = MONDAY + timedelta(number)
        rows(company, 10 if day.weekday() == 6 else 100)
        assert run(day, REVENUE, text).is_open, day
    rows(company, 100)
    assert run(MONDAY + timedelta(28), REVENUE, text).is_open
    assert not run(MONDAY + timedelta(34), REVENUE, text).is_open  # a Sunday like a Monday


def test_when_a_person_accepts_a_new_level_it_is_learnt(
    run: Run, company: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    text = OVER_TIME.format(how="previous")
    run(MONDAY, REVENUE, text)
    rows(company, 1000)
    assert not run(MONDAY + timedelta(1), REVENUE, text).is_open
    here, until = Settings(data_dir=tmp_path / "data"), wall_clock() + timedelta(hours=1)
    by_hand.open_anyway(here, REVENUE, "ada", "we bought a company", until)
    assert run(MONDAY + timedelta(2), REVENUE, text).is_open


VOLUME = "checks:\n  - anomaly: {by_day: day_on}\n"


def test_a_day_of_few_rows_closes_on_the_very_first_run(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    today = date(2026, 3, 24)
    days(company, today - timedelta(1))
    found = run(today, EVENTS, VOLUME)
    assert found.is_open, found.reason
    assert last(found).value == 1000 and last(found).plot
    company.execute(f"delete from curated.fct_events where day_on = date '{today}' - 1"
                    " and kind = 'web' and seconds > 62")  # fmt: skip
    found = run(today, EVENTS, VOLUME)
    assert not found.is_open and found.kind == "check_failed"
    assert "on 2026-03-23, expected" in found.reason and "(usually" in found.reason


def test_a_quiet_sunday_is_usual_and_a_busy_one_is_not(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    monday = date(2026, 3, 23)
    days(company, monday - timedelta(1))
    assert run(monday, EVENTS, VOLUME).is_open
    company.execute(
        f"insert into curated.fct_events select date '{monday}' - 1, 'web', 1 from range(900)"
    )
    assert not run(monday, EVENTS, VOLUME).is_open


def test_a_bad_day_keeps_the_gate_shut_until_its_rows_have_come(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    today = date(2026, 3, 25)
    days(company, today - timedelta(1))
    assert run(today - timedelta(1), EVENTS, VOLUME).is_open
    company.execute(
        f"create table held as from curated.fct_events where day_on = '{today}'::date - 1"
    )
    company.execute(f"delete from curated.fct_events where day_on = date '{today}' - 1")
    found = run(today, EVENTS, VOLUME)
    assert not found.is_open and "0 on 2026-03-24" in found.reason
    # The next day is as it should be, and does not bury the bad one.
    company.execute("insert into curated.fct_events select day_on + 1, kind, seconds from held")
    found = run(today + timedelta(1), EVENTS, VOLUME)
    assert not found.is_open and "0 on 2026-03-24" in found.reason
    company.execute("insert into curated.fct_events from held")
    assert run(today + timedelta(1), EVENTS, VOLUME).is_open


def test_with_too_short_a_past_it_learns_and_says_so(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    today = date(2026, 3, 25)
    days(company, today - timedelta(1), count=6)
    found = run(today, EVENTS, VOLUME)
    assert found.is_open and last(found).message == "learning (5 of 14 days)"


def column(measure: str, more: str = "") -> str:
    name = "kind" if measure in ("shares", "missing", "distinct") else "seconds"
    return (
        f"columns:\n  - name: {name}\n    checks:\n"
        f"      - anomaly: {{measure: {measure}, by_day: day_on{more}}}\n"
    )


@pytest.mark.parametrize(
    "measure, accident",
    [
        ("missing", "kind = case when seconds > 63 then null else kind end"),
        ("distinct", "kind = kind || rowid"),
        ("avg", "seconds = seconds * 1000"),
        ("median", "seconds = seconds / 1000"),
        ("p95", "seconds = case when seconds > 65 then 9000 else seconds end"),
        ("shares", "kind = 'web'"),
    ],
)
def test_the_shape_of_a_column_is_watched(
    measure: str, accident: str, run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    today = date(2026, 3, 24)
    days(company, today - timedelta(1))
    text = column(measure, ", threshold: {must_be_less_than: 5}")
    found = run(today, EVENTS, text)
    assert found.is_open, found.reason
    company.execute(f"update curated.fct_events set {accident} where day_on = date '{today}' - 1")
    found = run(today, EVENTS, text)
    assert not found.is_open
    assert "2026-03-23" in found.reason


def test_the_share_that_moved_is_named(run: Run, company: duckdb.DuckDBPyConnection) -> None:
    today = date(2026, 3, 24)
    days(company, today - timedelta(1))
    company.execute(f"update curated.fct_events set kind = 'web' where day_on = date '{today}' - 1"
                    " and seconds < 66")  # fmt: skip
    company.execute(f"update curated.fct_events set kind = 'tv' where day_on = date '{today}' - 1"
                    " and seconds > 63")  # fmt: skip
    found = run(today, EVENTS, column("shares"))
    assert "`tv` is" in found.reason and "usually 0 %" in found.reason


def test_a_day_of_few_rows_does_not_speak_for_its_averages(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    today = date(2026, 3, 24)
    days(company, today - timedelta(2))
    company.execute(
        f"insert into curated.fct_events select date '{today}' - 1, 'web', 9e9 from range(10)"
    )
    assert run(today, EVENTS, column("avg")).is_open
    assert not run(today, EVENTS, column("avg", ", at_least_rows: 10")).is_open


def test_an_average_that_is_no_number_is_not_evaluated(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    today = date(2026, 3, 24)
    days(company, today - timedelta(1))
    company.execute("update curated.fct_events set seconds = 'nan'")
    found = run(today, EVENTS, column("avg"))
    assert not found.is_open and found.kind == "not_evaluated"


def test_half_a_delivery_is_noticed_by_its_day_of_arrival(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    text = "checks:\n  - anomaly: {by_day: arrival}\n"
    for number in range(20):
        day = date(2026, 3, 1) + timedelta(number)
        deliver(company, 10 + number, str(day), "select 'p' || i, i, 'USD' from range(400) r(i)")
    company.execute("delete from raw_ledger.batches where batch_id < 10")
    assert run(date(2026, 3, 21), PAYMENTS, text).is_open
    deliver(company, 40, "2026-03-21", "select 'p' || i, i, 'USD' from range(100) r(i)")
    found = run(date(2026, 3, 22), PAYMENTS, text)
    assert not found.is_open
    assert "100 on 2026-03-21, expected" in found.reason


def test_checks_of_one_dataset_share_their_scan(
    run: Run, company: duckdb.DuckDBPyConnection
) -> None:
    """One expression at fault does not keep the others of its scan from being measured."""
    text = (
        "checks:\n  - change_over_time: {expression: sum(amount), threshold: {must_be: 0}}\n"
        "  - change_over_time: {name: broken, expression: sum(currency::int), "
        "threshold: {must_be: 0}}\n"
        "columns:\n  - name: amount\n    checks:\n"
        "      - change_over_time: {measure: p95, threshold: {must_be: 0}}\n"
    )
    found = run(MONDAY, REVENUE, text)
    outcomes = {each.check_id: each.outcome for each in found.checks[1:]}
    assert outcomes == {
        "change_over_time": "pass",
        "broken": "not_evaluated",
        "amount_p95_change_over_time": "pass",
    }
    assert "USD" not in found.reason
