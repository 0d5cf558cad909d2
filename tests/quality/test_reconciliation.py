"""A dataset is held against another: totals, or groups, within what is tolerated."""

from __future__ import annotations

import duckdb
from gated_company import FACTS, REVENUE, Check

pytest_plugins = ["gated_company"]


def checked(*settings: str) -> str:
    return (
        "checks:\n  - reconciliation: {with: curated.fct_payments, " + ", ".join(settings) + "}\n"
    )


def test_rows_that_are_missing_or_double_close(
    check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    text = "checks:\n  - reconciliation: {with: curated.fct_payments}\n"
    assert check(REVENUE, text).is_open
    company.execute("delete from marts.finance_revenue where payment_id = 'p7'")
    found = check(REVENUE, text)
    assert not found.is_open and found.kind == "check_failed"
    assert found.reason == (
        "rows as in curated.fct_payments: 99 here, 100 in curated.fct_payments: 1 apart, 0 allowed"
    )
    result = found.checks[-1]
    assert (result.value, result.expected_low, result.expected_high) == (-1, 0, 0)


def test_tolerance_is_the_larger_of_absolute_and_percent(
    check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    company.execute("delete from marts.finance_revenue where amount > 98")
    for tolerance, is_open in (
        ("{absolute: 1}", False),
        ("{absolute: 2}", True),
        ("{percent: 1.9}", False),
        ("{percent: 2}", True),
        ("{absolute: 1, percent: 2}", True),
    ):
        assert check(REVENUE, checked(f"tolerance: {tolerance}")).is_open is is_open, tolerance


def test_sums_may_be_called_otherwise_and_be_filtered_on_both_sides(
    check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    company.execute("alter table curated.fct_payments rename amount to payment_amount")
    company.execute("update marts.finance_revenue set amount = 1000 where payment_id = 'p1'")
    sums = ("expression: sum(amount)", "with_expression: count(*) * 50.5")
    assert not check(REVENUE, checked(*sums)).is_open
    both = ("filter: amount between 2 and 50", "with_filter: \"currency = 'USD'\"")
    found = check(REVENUE, checked("expression: count(*) + 1", "with_expression: count(*)", *both))
    assert found.is_open, found.reason


def test_equal_totals_of_unequal_groups_close_and_show_the_farthest(
    check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    grouped = checked("expression: sum(amount)", "by: [currency]")
    assert check(REVENUE, grouped).is_open
    company.execute(
        "update marts.finance_revenue set currency = 'EUR' where payment_id in ('p1', 'p2')"
    )
    assert check(REVENUE, checked("expression: sum(amount)")).is_open
    found = check(REVENUE, grouped)
    assert not found.is_open
    assert "2 of the groups by currency differ from curated.fct_payments" in found.reason
    result = found.checks[-1]
    assert result.value == 2
    assert {"currency": "USD", "here": "1272.00", "there": "1275.00"} in result.sample


def test_a_group_that_only_one_side_has_is_apart_even_if_it_is_null(
    check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    grouped = checked("by: [currency]")
    company.execute("update marts.finance_revenue set currency = null where payment_id = 'p1'")
    company.execute("update curated.fct_payments set currency = null where payment_id = 'p1'")
    assert check(REVENUE, grouped).is_open
    company.execute("update curated.fct_payments set currency = 'GBP' where payment_id = 'p1'")
    assert check(REVENUE, grouped).checks[-1].value == 2


def test_it_may_warn_instead(check: Check, company: duckdb.DuckDBPyConnection) -> None:
    company.execute("delete from curated.fct_payments where payment_id = 'p1'")
    warns = check(REVENUE, checked("threshold: {must_be: 0, level: warn}"))
    assert warns.is_open and "1 apart" in warns.reason


def test_two_totals_of_one_dataset_are_told_apart(check: Check) -> None:
    found = check(
        FACTS,
        "checks:\n"
        "  - reconciliation: {with: staging.stg_billing__payments}\n"
        "  - reconciliation: {with: raw.billing.payments, expression: sum(amount)}\n",
    )
    assert found.is_open, found.reason
    assert [each.value for each in found.checks[1:]] == [0, 0]
