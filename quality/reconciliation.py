"""This dataset against another: one total, or one per group, within a tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from catalog.catalog import Dataset
from quality.check_file import DeclaredCheck
from quality.evaluation import CheckResult, answered, shown, unevaluated
from quality.masking import personal_columns, shown_row
from quality.measuring import Measured, Request
from quality.sql_names import columns_of
from warehouse.connection import ENGINE_ERRORS, Connection
from warehouse.engine_words import engine_message

MOST_SHOWN = 5


def here(check: DeclaredCheck, filters: Sequence[str]) -> Request:
    own = check.body.get("filter")
    narrowed = (*filters, own) if own else tuple(filters)
    return Request(check.check_id, _expression(check), narrowed)


def there(check: DeclaredCheck) -> Request:
    own = check.body.get("with_filter")
    return Request(check.check_id, _other_expression(check), (own,) if own else ())


def total(check: DeclaredCheck, ours: Measured, theirs: Measured) -> CheckResult:
    fault = ours.fault or theirs.fault
    if fault:
        return unevaluated(check, fault)
    try:
        left, right = _number(ours.value), _number(theirs.value)
    except (TypeError, ValueError):
        return unevaluated(check, "its totals are no numbers")
    allowed = _allowed(check, right)
    apart = left - right
    if not math.isfinite(apart):
        return unevaluated(check, "its totals are no numbers")
    assert check.threshold is not None
    outcome = check.threshold.judge(0 if abs(apart) <= allowed else 1)
    message = ""
    if outcome != "pass":
        message = (
            f"{shown(left)} here, {shown(right)} in {check.body['with']}:"
            f" {shown(abs(apart))} apart, {shown(allowed)} allowed"
        )
    return replace(
        answered(check, outcome, apart, message),
        threshold=f"at most {shown(allowed)} apart",
        expected_low=-allowed,
        expected_high=allowed,
    )


def by_group(
    connection: Connection,
    check: DeclaredCheck,
    dataset: Dataset,
    other: Dataset,
    filters: Sequence[str],
    variables: Mapping[str, str],
) -> CheckResult:
    """How many groups are apart; the farthest of them as a sample."""
    columns = [str(each) for each in check.body["by"]]
    try:
        rows = connection.execute(
            _grouped(
                check,
                here(check, filters).filled(variables),
                there(check).filled(variables),
                dataset,
                other,
            )
        ).fetchall()
    except ENGINE_ERRORS as error:
        return unevaluated(check, engine_message(str(error)))
    count = int(rows[0][-1]) if rows else 0
    assert check.threshold is not None
    outcome = check.threshold.judge(count)
    masked = personal_columns(dataset) | personal_columns(other)
    names = [*columns, "here", "there"]
    read = {*columns, *columns_of(_expression(check)), *columns_of(_other_expression(check))}
    if masked & read:
        # A group may be one person, and its total what that person has.
        masked |= {"here", "there"}
    sample = tuple(
        shown_row(dict(zip(names, row[: len(names)], strict=True)), masked) for row in rows
    )
    message = ""
    if outcome != "pass":
        first = sample[0]
        group = ", ".join(f"{name} {first[name]}" for name in columns)
        message = (
            f"{count} of the groups by {', '.join(columns)} differ from {check.body['with']},"
            f" most of all {group}: {first['here']} here, {first['there']} there"
        )
    return replace(
        answered(check, outcome, float(count), message),
        threshold=f"groups apart {check.threshold}",
        sample=sample if outcome != "pass" else (),
    )


def _grouped(
    check: DeclaredCheck, ours: Request, theirs: Request, dataset: Dataset, other: Dataset
) -> str:
    keys = [f'"{each}"' for each in check.body["by"]]
    tolerance = check.body.get("tolerance", {})
    absolute, percent = tolerance.get("absolute", 0), tolerance.get("percent", 0)
    listed = ", ".join(keys)

    def side(request: Request, relation: str) -> str:
        where = " and ".join(f"({each})" for each in request.filters)
        return (
            f"select {listed}, ({request.aggregate}) as total from {relation}"
            f"{f' where {where}' if where else ''} group by {listed}"
        )

    return (
        f"with here as ({side(ours, dataset.relation)}), there as ({side(theirs, other.relation)}),"
        f" both_sides as (select {listed}, total as our_total, null as their_total from here"
        f" union all select {listed}, null, total from there),"
        f" compared as (select {listed}, max(our_total) as our_total, max(their_total) as"
        " their_total, abs(coalesce(max(our_total), 0) - coalesce(max(their_total), 0)) as apart"
        f" from both_sides group by {listed})"
        f" select {listed}, our_total, their_total, count(*) over () from compared"
        f" where not coalesce(apart <= greatest({absolute},"
        f" {percent} / 100.0 * abs(coalesce(their_total, 0))), false)"
        f" order by apart desc, {listed} limit {MOST_SHOWN}"
    )


def _expression(check: DeclaredCheck) -> str:
    return str(check.body.get("expression", "count(*)"))


def _other_expression(check: DeclaredCheck) -> str:
    return str(check.body.get("with_expression", _expression(check)))


def _allowed(check: DeclaredCheck, right: float) -> float:
    tolerance: Mapping[str, float] = check.body.get("tolerance", {})
    return max(tolerance.get("absolute", 0), abs(right) * tolerance.get("percent", 0) / 100)


def _number(value: Any) -> float:
    """The sum of nothing is nothing."""
    return 0.0 if value is None else float(value)
