"""The gate opens only when every declared check was evaluated and holds."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from gated_company import (
    FACTS,
    FUNNEL,
    PAYMENTS,
    REVENUE,
    Check,
    dataset,
    deliver,
    either_engine,
    write,
)

from catalog.catalog import Catalog
from quality.evaluate import declared, evaluate
from quality.evaluation import Evaluation
from warehouse.settings import Settings

pytest_plugins = ["gated_company"]

AVERAGE = """
checks:
  - row_count:
columns:
  - name: amount
    checks:
      - aggregate: {function: avg, threshold: {must_be_less_than: 60}}
"""


def outcomes(found: Evaluation) -> dict[str, str]:
    return {check.check_id: check.outcome for check in found.checks}


@either_engine
def test_every_kind_of_check_is_evaluated_with_value_and_threshold(check: Check) -> None:
    found = check(
        REVENUE,
        """
checks:
  - row_count: {threshold: {must_be: 100}}
  - duplicate: {columns: [payment_id, currency]}
  - failed_rows: {name: positive, expression: amount <= 0}
  - metric:
      name: share of euros
      expression: avg((currency = 'EUR')::int)
      threshold: {must_be: 0.5}
  - metric:
      name: total
      query: select sum(amount) from marts.finance_revenue
      threshold: {must_be: 5050}
columns:
  - name: amount
    checks:
      - missing:
      - invalid: {valid_min: 0.5, valid_max: 1000}
      - aggregate:
          function: max
          threshold: {must_be_between: {greater_than: 1, less_than_or_equal: 100}}
  - name: currency
    checks:
      - invalid: {valid_reference_data: {dataset: seeds.currencies, column: currency}}
      - missing: {threshold: {metric: percent, must_be_less_than: 5}}
""",
    )
    assert found.is_open, found.reason
    assert set(outcomes(found).values()) == {"pass"}
    assert [each.check_id for each in found.checks][:3] == [
        "schema",
        "row_count",
        "duplicate",
    ]
    highest = next(each for each in found.checks if each.check_id == "amount_max_aggregate")
    assert highest.value == 100
    assert highest.threshold == "must be more than 1 and at most 100"


@either_engine
def test_a_failed_check_closes_and_says_value_and_bound(check: Check) -> None:
    found = check(REVENUE, AVERAGE.replace("60", "50"))
    assert not found.is_open
    assert found.reason == "avg of amount: 50.5, must be less than 50"


def test_a_warning_keeps_the_gate_open_and_is_told(check: Check) -> None:
    found = check(
        REVENUE,
        "checks:\n  - row_count:\n      threshold:\n        must_be_less_than: 200\n"
        "        additional: {level: warn, must_be_less_than: 50}\n",
    )
    assert found.is_open
    assert outcomes(found)["row_count"] == "warn"
    assert found.reason == "rows: 100, must be less than 50"


def test_a_query_that_gives_no_number_closes(check: Check) -> None:
    for query in ("select null", "select 1 where false", "select 'nan'::double", "select nothing"):
        found = check(
            REVENUE,
            f'checks:\n  - metric: {{name: m, query: "{query}", threshold: {{must_not_be: 7}}}}\n',
        )
        assert outcomes(found)["m"] == "not_evaluated", query
        assert not found.is_open


def test_a_table_that_does_not_exist_closes(
    check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    company.execute("drop table marts.finance_revenue")
    found = check(REVENUE)
    assert not found.is_open
    assert "does not exist" in found.reason
    assert outcomes(found)["row_count"] == "not_evaluated"


def test_a_changed_type_a_missing_and_an_undeclared_column_close(
    check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    # bigint instead of decimal: Soda's own schema check takes them for synonyms.
    company.execute("alter table marts.finance_revenue alter amount type bigint")
    assert "`amount` is BIGINT, declared DECIMAL(18,2)" in check(REVENUE).reason
    company.execute("alter table marts.finance_revenue drop currency")
    assert "`currency` is missing" in check(REVENUE).reason
    company.execute("alter table marts.growth_funnel add secret varchar")
    assert "`secret` is not declared" in check(FUNNEL).reason


def test_an_attached_file_with_the_same_tables_confuses_nothing(
    check: Check, company: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    company.execute(f"attach '{tmp_path / 'other.duckdb'}' as other")
    company.execute("create schema other.marts")
    company.execute("create table other.marts.finance_revenue as select 1 as unrelated")
    assert check(REVENUE, AVERAGE).is_open


@either_engine
def test_one_broken_dataset_leaves_the_others_evaluated(
    settings_here: Settings,
    catalog: Catalog,
    company: duckdb.DuckDBPyConnection,
    checks_dir: Path,
) -> None:
    write(checks_dir, REVENUE, "checks:\n  - metric: {expression: nope, threshold: {must_be: 1}}\n")
    found = evaluate(
        settings_here, catalog, company, [PAYMENTS, REVENUE, FUNNEL, FACTS], folder=checks_dir
    )
    assert [each.is_open for each in found] == [True, False, True, True]


def test_what_is_declared_is_what_is_evaluated(
    check: Check, catalog: Catalog, checks_dir: Path
) -> None:
    for key in (PAYMENTS, REVENUE, FACTS):
        promised = [each.check_id for each in declared(catalog, catalog[key], checks_dir)]
        assert [each.check_id for each in check(key).checks] == promised


# Sources: freshness, quarantine, and which rows are checked.


def test_a_source_that_stopped_sending_closes_after_its_service_level(
    catalog: Catalog, company: duckdb.DuckDBPyConnection, checks_dir: Path, tmp_path: Path
) -> None:
    ages = {}
    for day in ("2026-04-01", "2026-04-02", "2026-04-03"):
        settings = Settings(data_dir=tmp_path / "data", as_of=f"{day}T00:00:00+00:00")
        [found] = evaluate(settings, catalog, company, [PAYMENTS], folder=checks_dir)
        fresh = next(each for each in found.checks if each.type == "freshness")
        ages[day] = (fresh.value, found.is_open)
    assert ages == {"2026-04-01": (0, True), "2026-04-02": (24, True), "2026-04-03": (48, False)}


def test_a_file_from_the_future_does_not_make_a_source_fresh(
    catalog: Catalog, company: duckdb.DuckDBPyConnection, checks_dir: Path, tmp_path: Path
) -> None:
    deliver(company, 3, "2030-01-01", "select 'p3', 1, 'USD'")
    settings = Settings(data_dir=tmp_path / "data", as_of="2026-05-01T00:00:00+00:00")
    [found] = evaluate(settings, catalog, company, [PAYMENTS], folder=checks_dir)
    assert not found.is_open
    assert "newest data is 720 hours old (2026-04-01 00:00), promised within 48" in found.reason


def test_a_model_promises_freshness_of_a_column(
    settings_here: Settings, company: duckdb.DuckDBPyConnection, checks_dir: Path
) -> None:
    level = {"service_level": {"freshness_hours": 30, "column": "day_on"}}
    daily = dataset("marts.daily", {"day_on": "date"}, public=True, meta=level)
    catalog = Catalog({daily.key: daily}, {}, {})
    write(checks_dir, daily.key, "checks:\n  - row_count:\n")
    company.execute(
        "create table marts.daily as"
        " select unnest([date '2026-03-31', date '2031-01-01']) as day_on"
    )
    [found] = evaluate(settings_here, catalog, company, [daily.key], folder=checks_dir)
    assert found.is_open, found.reason
    company.execute("delete from marts.daily where day_on = date '2026-03-31'")
    [found] = evaluate(settings_here, catalog, company, [daily.key], folder=checks_dir)
    assert not found.is_open


@either_engine
def test_quarantined_rows_count_until_they_are_replayed(
    check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    text = "checks:\n  - quarantined: {threshold: {metric: percent, must_be_less_than: 10}}\n"
    company.execute("insert into raw_ledger.quarantine select 2, null from generate_series(1, 25)")
    found = check(PAYMENTS, text)
    assert "quarantined rows: 20 %, must be less than 10" in found.reason
    company.execute("update raw_ledger.quarantine set replayed_at = now()")
    assert check(PAYMENTS, text).is_open


@pytest.mark.parametrize("key", [PAYMENTS])
def test_a_source_without_any_delivery_is_closed(
    key: str, check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    company.execute("delete from raw_ledger.batches")
    assert "nothing was ever received" in check(key).reason
