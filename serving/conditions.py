"""Structured filters: a dimension, an operator and values, never SQL of the caller's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from serving.published import QueryError

Scalar = str | int | float | Decimal | bool | date | None
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in")
WRITTEN = re.compile(r"^\s*([A-Za-z_][\w]*)\s*(not\s+in\b|in\b|!=|<=|>=|=|<|>)\s*(.*?)\s*$", re.I)


@dataclass(frozen=True)
class Condition:
    """`value` is None for (not) null, and a sequence for `in` and `not in`."""

    dimension: str
    operator: str
    value: Scalar | Sequence[Scalar]

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise QueryError(
                f"A filter cannot use the operator {self.operator!r}.",
                remedy=f"Use one of: {', '.join(OPERATORS)}.",
            )
        is_list = isinstance(self.value, Sequence) and not isinstance(self.value, str)
        if is_list != self.operator.endswith("in"):
            raise QueryError(
                f"The filter on {self.dimension} has "
                + ("several values" if is_list else "one value")
                + f" for `{self.operator}`.",
                remedy="Several values go with `in` and `not in`, one value with the others.",
            )

    @classmethod
    def parse(cls, text: str) -> Condition:
        """From the command line: `country=DE`, `plan in team,business`, `is_trial != true`."""
        match = WRITTEN.match(text)
        if match is None:
            raise QueryError(
                f"The filter {text!r} is not understood.",
                remedy="Write dimension, operator, value: country=DE, or: plan in team,business.",
            )
        dimension, operator, value = match.groups()
        operator = " ".join(operator.lower().split())
        if operator.endswith("in"):
            items = [_unquoted(item) for item in value.strip("()[]").split(",")]
            return cls(dimension, operator, [item for item in items if item])
        if value.lower() == "null":
            return cls(dimension, operator, None)
        return cls(dimension, operator, _unquoted(value))

    def sql(self, reference: str) -> str:
        """As a MetricFlow filter on the reference, such as {{ Dimension('account__country') }}."""
        if self.value is None:
            if self.operator not in ("=", "!="):
                raise QueryError(
                    f"The filter on {self.dimension} compares with null by `{self.operator}`.",
                    remedy="Null goes with = and != only.",
                )
            return f"{reference} is {'' if self.operator == '=' else 'not '}null"
        if isinstance(self.value, Sequence) and not isinstance(self.value, str):
            if not self.value:
                raise QueryError(
                    f"The filter on {self.dimension} lists no values.",
                    remedy="Name at least one value.",
                )
            values = ", ".join(literal(item) for item in self.value)
            return f"{reference} {self.operator} ({values})"
        return f"{reference} {self.operator} {literal(self.value)}"


def literal(value: Scalar) -> str:
    """The value as an SQL literal that no template engine can read anything into."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal | float):
        return str(value) if Decimal(str(value)).is_finite() else f"'{value}'"
    if isinstance(value, date):
        return f"cast('{value.isoformat()}' as date)"
    if value is None:
        return "null"
    quoted = "'" + value.replace("'", "''") + "'"
    # MetricFlow renders filters with Jinja: a brace in a value must not reach it.
    if "{" in quoted or "}" in quoted:
        quoted = quoted.replace("{", "' || chr(123) || '").replace("}", "' || chr(125) || '")
        return f"({quoted})"
    return quoted


def _unquoted(value: str) -> str:
    text = value.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
