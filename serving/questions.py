"""A question to the metrics: the SQL that answers it on the snapshot, or why it must not be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from serving.conditions import Condition
from serving.definitions import Metric, allowed_dimensions, describe, did_you_mean, either
from serving.published import QueryError
from serving.semantics import GRAINS, TIME, Dimension, Semantics


@dataclass(frozen=True)
class _Item:
    """One thing grouped or ordered by: as asked, and as MetricFlow calls it."""

    asked: str
    name: str
    is_time: bool = False


def compile_sql(
    semantics: Semantics,
    metrics: Sequence[str],
    group_by: Sequence[str] = (),
    where: Sequence[Condition] = (),
    start: date | None = None,
    end: date | None = None,
    order: Sequence[str] = (),
    limit: int | None = None,
) -> str:
    """The SQL that answers the question on the snapshot, or why it must not be answered."""
    asked = _known(semantics, metrics)
    dimensions = _common_dimensions(semantics, asked)
    items = _distinct(_group_item(each, asked, dimensions) for each in group_by)
    _refuse_what_does_not_compose(asked, items, where, dimensions)
    if start is not None and end is not None and start > end:
        raise QueryError(f"The time asked ends ({end}) before it starts ({start}).")
    if limit is not None and limit < 1:
        raise QueryError(f"The limit is {limit}.", remedy="Ask for at least one row.")
    conditions = [each.sql(_reference(each.dimension, asked, dimensions)) for each in where]
    sql = _compiled(semantics, asked, items, conditions, start, end)
    return _presented(sql, asked, items, order, limit)


def _distinct(items: Iterable[_Item]) -> list[_Item]:
    """`feature` and `adoption__feature` are one dimension, named twice."""
    found: dict[str, _Item] = {}
    for item in items:
        found.setdefault(item.name, item)
    return list(found.values())


def _known(semantics: Semantics, names: Sequence[str]) -> list[Metric]:
    if not names:
        raise QueryError(
            "No metric is asked for.", remedy="`sluice metrics list` shows the metrics."
        )
    for name in names:
        if name not in semantics.metrics:
            raise QueryError(
                f"There is no metric {name}.", remedy=did_you_mean(name, semantics.metrics)
            )
    return [describe(semantics, name) for name in dict.fromkeys(names)]


def _common_dimensions(semantics: Semantics, asked: Sequence[Metric]) -> dict[str, Dimension]:
    found: dict[str, Dimension] = {}
    for index, metric in enumerate(asked):
        allowed = {each.name: each for each in allowed_dimensions(semantics, metric.name)}
        found = allowed if index == 0 else {k: v for k, v in found.items() if k in allowed}
    return found


def _group_item(text: str, asked: Sequence[Metric], dimensions: Mapping[str, Dimension]) -> _Item:
    grains = _common_grains(asked)
    grain = text.removeprefix(f"{TIME}__")
    if text == TIME:
        return _Item(text, f"{TIME}__{grains[0]}", is_time=True)
    if grain in GRAINS:
        if grain not in grains:
            raise _wrong_grain(grain, asked, grains)
        return _Item(text, f"{TIME}__{grain}", is_time=True)
    dimension = _dimension(text, asked, dimensions)
    if dimension.kind == "time":
        raise QueryError(
            f"Time is grouped by a grain of the metric, not by {dimension.name}.",
            remedy=f"Group by {either(grains)}; {dimension.name} can be used in a filter.",
        )
    return _Item(text, dimension.name)


def _common_grains(asked: Sequence[Metric]) -> list[str]:
    grains = [each for each in GRAINS if all(each in metric.grains for metric in asked)]
    if not grains:
        stated = "; ".join(f"{each.name} by {either(each.grains)}" for each in asked)
        raise QueryError(
            f"These metrics share no grain: {stated}.", remedy="Ask for each on its own."
        )
    return grains


def _wrong_grain(grain: str, asked: Sequence[Metric], grains: Sequence[str]) -> QueryError:
    refusing = [each.name for each in asked if grain not in each.grains]
    return QueryError(
        f"{', '.join(refusing)} cannot be asked by {grain}: values of other periods would be "
        "pooled into a number that means something else.",
        remedy=f"Ask by {either(grains)}.",
    )


def _refuse_what_does_not_compose(
    asked: Sequence[Metric],
    items: Sequence[_Item],
    where: Sequence[Condition],
    dimensions: Mapping[str, Dimension],
) -> None:
    times = [each for each in items if each.is_time]
    if len(times) > 1:
        raise QueryError(
            f"Time is grouped twice: {', '.join(each.asked for each in times)}.",
            remedy="Ask by one grain at a time.",
        )
    for metric in asked:
        if not metric.composes and not times:
            raise QueryError(
                f"{metric.name} is stated by period: it has no value for all of the time at once.",
                remedy=f"Group by {either(metric.grains)}.",
            )
        given = {each.name.rpartition("__")[2] for each in items}
        given |= {
            _dimension(each.dimension, asked, dimensions).short
            for each in where
            if each.operator == "=" and not each.dimension.startswith(TIME)
        }
        missing = [each for each in metric.requires if each not in given]
        if missing:
            raise QueryError(
                f"{metric.name} is stated per {' and '.join(missing)}: summed over several "
                "it would count the same people more than once.",
                remedy=f"Group by {' and '.join(missing)}, or filter for one ({missing[0]}=…).",
            )


def _dimension(
    text: str, asked: Sequence[Metric], dimensions: Mapping[str, Dimension]
) -> Dimension:
    if text in dimensions:
        return dimensions[text]
    found = [each for each in dimensions.values() if each.short == text]
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.name for each in asked)
    if found:
        raise QueryError(
            f"{text} can be several dimensions of {names}.",
            remedy=f"Name one in full: {either([each.name for each in found])}.",
        )
    known = [name for name, each in dimensions.items() if each.kind != "time"]
    stated = ", ".join(sorted(known)) or "none"
    raise QueryError(
        f"There is no dimension {text} for {names}.",
        remedy=(
            did_you_mean(text, [*dimensions, *GRAINS], fallback="")
            + f" Dimensions: {stated}; grains: {', '.join(_common_grains(asked))}."
        ).strip(),
    )


def _reference(text: str, asked: Sequence[Metric], dimensions: Mapping[str, Dimension]) -> str:
    grain = text.removeprefix(f"{TIME}__")
    if text == TIME or grain in GRAINS:
        # A day cuts the facts before they are summed, at whatever grain they are asked.
        return f"{{{{ TimeDimension('{TIME}', '{'day' if text == TIME else grain}') }}}}"
    dimension = _dimension(text, asked, dimensions)
    if dimension.kind == "entity":
        return f"{{{{ Entity('{dimension.name}') }}}}"
    if dimension.kind == "time":
        return f"{{{{ TimeDimension('{dimension.name}', 'day') }}}}"
    return f"{{{{ Dimension('{dimension.name}') }}}}"


def _compiled(
    semantics: Semantics,
    asked: Sequence[Metric],
    items: Sequence[_Item],
    conditions: Sequence[str],
    start: date | None,
    end: date | None,
) -> str:
    from metricflow_semantics.errors.error_classes import MetricFlowException

    try:
        return semantics.compile(
            [each.name for each in asked],
            [each.name for each in items],
            conditions,
            datetime.combine(start, datetime.min.time()) if start else None,
            datetime.combine(end, datetime.min.time()) if end else None,
        )
    except MetricFlowException as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise QueryError(
            f"MetricFlow cannot compile {', '.join(each.name for each in asked)} so: "
            + " ".join(lines[:6]),
            remedy="Ask the metrics one by one, or by fewer dimensions.",
        ) from error


def _presented(
    sql: str,
    asked: Sequence[Metric],
    items: Sequence[_Item],
    order: Sequence[str],
    limit: int | None,
) -> str:
    columns = [
        (f'cast("{each.name}" as date)' if each.is_time else f'"{each.name}"')
        + f' as "{each.asked}"'
        for each in items
    ]
    columns += [f'"{each.name}"' for each in asked]
    text = f"select {', '.join(columns)}\nfrom (\n{sql}\n) as answer"
    if items:
        # Offsets and outer joins bring periods in which nothing has a value.
        text += "\nwhere " + " or ".join(f'"{each.name}" is not null' for each in asked)
    ordering = [_ordering(each, asked, items) for each in order]
    ordering += [f"{position} nulls last" for position in range(1, len(items) + 1)]
    if ordering:
        text += f"\norder by {', '.join(ordering)}"
    return text if limit is None else f"{text}\nlimit {int(limit)}"


def _ordering(text: str, asked: Sequence[Metric], items: Sequence[_Item]) -> str:
    name = text.removeprefix("-")
    positions = {each.asked: index for index, each in enumerate(items, start=1)}
    positions |= {each.name: index for index, each in enumerate(items, start=1)}
    positions |= {each.name: index for index, each in enumerate(asked, start=len(items) + 1)}
    if name not in positions:
        raise QueryError(
            f"Rows cannot be ordered by {name}: it is not a column of the answer.",
            remedy=f"Order by {either(list(positions))}, `-` before it for descending.",
        )
    return f"{positions[name]} {'desc' if text.startswith('-') else 'asc'} nulls last"
