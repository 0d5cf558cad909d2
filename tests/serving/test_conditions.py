"""Filters are structured: nothing a caller writes becomes SQL or a template."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from serving.conditions import Condition, literal
from serving.published import QueryError


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("country=DE", Condition("country", "=", "DE")),
        ("account__country != 'DE'", Condition("account__country", "!=", "DE")),
        ("week_number<=4", Condition("week_number", "<=", "4")),
        ("plan in team, business", Condition("plan", "in", ["team", "business"])),
        ("plan not in (team)", Condition("plan", "not in", ["team"])),
        ("country = null", Condition("country", "=", None)),
        ("name = a=b", Condition("name", "=", "a=b")),
    ],
)
def test_filters_are_read_from_the_command_line(text: str, condition: Condition) -> None:
    assert Condition.parse(text) == condition


@pytest.mark.parametrize("text", ["country", "= DE", "1 = 1 or x=2", "plan in ()", ""])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        Condition.parse(text).sql("x")


@pytest.mark.parametrize(
    ("operator", "value"), [("like", "x"), ("=", ["a"]), ("in", "a"), ("; drop", "x")]
)
def test_operators_and_values_must_fit(operator: str, value: str) -> None:
    with pytest.raises(QueryError):
        Condition("country", operator, value)


@pytest.mark.parametrize(
    "value",
    [
        "it's",
        "' or 1 = 1 --",
        "{{ Dimension('account__region') }}",
        "{% for x in y %}{# #}",
        "a\\'; select 1",
        "ends with newline\n",
        True,
        -3,
        1.5,
        date(2026, 3, 31),
    ],
)
def test_a_literal_means_its_value_and_carries_no_template(value: str | int | date) -> None:
    text = literal(value)
    assert "{" not in text and "}" not in text
    found = duckdb.execute(f"select {text}").fetchall()[0][0]
    assert found == value
