"""Governed numbers: what metrics exist, how each may be asked, and their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from contextlib import nullcontext
from datetime import UTC, date, timedelta

from catalog.catalog import load_catalog
from serving.conditions import Condition
from serving.definitions import Metric, describe
from serving.figures import KeyFigure, figures_of
from serving.published import Answer, QueryError, fetch, open_published
from serving.query_log import Asked, logged
from serving.questions import compile_sql
from serving.semantics import load_semantics
from warehouse import snapshots
from warehouse.clock import as_of, wall_clock
from warehouse.connection import ENGINE_ERRORS, NO_SUCH_COLUMN, NO_SUCH_TABLE, Connection
from warehouse.settings import Settings

MOST_VALUES = 20
"""So many values of a dimension are told; of more, nobody reads the list."""


def list_metrics(settings: Settings) -> list[Metric]:
    semantics = load_semantics(settings)
    return [describe(semantics, name) for name in sorted(semantics.metrics)]


def parse_filter(text: str) -> Condition:
    """A filter as it is written on the command line: `country=DE`, `plan in team,business`."""
    return Condition.parse(text)


def query(
    settings: Settings,
    metrics: Sequence[str],
    group_by: Sequence[str] = (),
    *,
    where: Sequence[Condition] = (),
    start: date | str | None = None,
    end: date | str | None = None,
    order: Sequence[str] = (),
    limit: int | None = None,
    snapshot_id: str | None = None,
    quietly: bool = False,
    on: Connection | None = None,
) -> Answer:
    """Values of the metrics from the published snapshot, or from an earlier one that is kept.

    Group by a grain (`month`, or `metric_time__month`) and dimensions (`account__country`, or
    `country` where only one dimension is called so). `start` and `end` are inclusive days,
    widened to whole periods of the grain; nothing after the last whole day is shown (of the
    platform itself today is shown too, as far as it goes). Order by any column,
    `-column` for descending; without an order rows come by the columns grouped by.
    `quietly` leaves the question out of the platform log: the platform's own are no demand.
    Who asks many opens the snapshot once, and asks `on` it.
    Periods without a value are left out.
    """
    semantics = load_semantics(settings)
    first, last = _span(last_day(settings, metrics, snapshot_id), start, end)
    sql = compile_sql(semantics, metrics, group_by, where, first, last, order, limit)
    connection = on or open_published(settings, snapshot_id)
    log = nullcontext(Asked()) if quietly else logged(settings, "metrics", metrics, snapshot_id)
    try:
        with log as asked:
            answer = fetch(connection, sql)
            asked.row_count = len(answer.rows)
            return answer
    except (*NO_SUCH_TABLE, *NO_SUCH_COLUMN) as error:
        raise QueryError(
            f"The published snapshot does not hold what {', '.join(metrics)} needs: "
            f"{str(error).splitlines()[0]}",
            remedy="`sluice run` builds and publishes what is newer than the snapshot; "
            "`sluice status` says whether a closed gate keeps it back.",
            exit_code=1,
        ) from error
    except ENGINE_ERRORS as error:
        raise QueryError(
            f"The question cannot be answered: {str(error).splitlines()[0]}",
            remedy="Compare each filter's value with its dimension's type "
            "(dates as 2026-03-31, flags as true or false).",
        ) from error
    finally:
        if on is None:
            connection.close()


def described(settings: Settings, names: Sequence[str]) -> list[Metric]:
    semantics = load_semantics(settings)
    return [describe(semantics, name) for name in names]


def values(
    settings: Settings,
    metrics: Sequence[str],
    where: Sequence[Condition],
    snapshot_id: str | None = None,
) -> dict[str, list[str]]:
    """By dimension that is to equal a value that it has not: the values it has, if few.

    Nothing of many, and of a dimension that has the value no word.
    """
    found: dict[str, list[str]] = {}
    for condition in where:
        if condition.operator not in ("=", "in"):
            continue
        wanted = condition.value if isinstance(condition.value, list) else [condition.value]
        known = _values(settings, metrics, condition.dimension, snapshot_id)
        if known and not has_any(known, wanted):
            found[condition.dimension] = sorted(known) if len(known) <= MOST_VALUES else []
    return found


def has_any(known: Set[str], wanted: Iterable[object]) -> bool:
    """Flags are written as one likes: `True`, `true`."""
    asked = {_written(each) for each in wanted}
    return not known.isdisjoint(
        {each.lower() for each in asked} if known <= {"true", "false"} else asked
    )


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _values(
    settings: Settings, metrics: Sequence[str], dimension: str, snapshot_id: str | None
) -> set[str]:
    coarsest = described(settings, metrics)[0].grains[-1]
    group_by = dict.fromkeys((coarsest, *described(settings, metrics)[0].requires, dimension))
    try:
        answer = query(settings, metrics, list(group_by), snapshot_id=snapshot_id, quietly=True)
    except QueryError:
        # A time, or what cannot be grouped by: nothing to choose from.
        return set()
    place = answer.columns.index(dimension)
    return {_written(row[place]) for row in answer.rows if row[place] is not None}


def key_figures(settings: Settings) -> list[KeyFigure]:
    """What the company looks at first, at the last whole day, week or month of the snapshot."""

    def ask(names: Sequence[str], grain: str, start: date, end: date) -> Answer:
        return query(settings, names, [grain], start=start, end=end)

    latest = query(settings, ["mau"], ["day"], order=["-day"], limit=1).rows
    return figures_of(ask, latest[0][0] if latest else _last_whole_day(settings))


def _last_whole_day(settings: Settings, snapshot_id: str | None = None) -> date:
    """Before now; of an earlier snapshot, before the now that it was made at."""
    now = snapshots.show(settings, snapshot_id).as_of if snapshot_id else as_of(settings)
    return (now.astimezone(UTC) - timedelta(days=1)).date()


def last_day(settings: Settings, metrics: Sequence[str], snapshot_id: str | None = None) -> date:
    """The newest day that is shown of these metrics.

    What the company did today is not whole yet. How the platform fares is looked at while it
    happens, so of metrics over the platform log alone, today counts.
    """
    semantics = load_semantics(settings)
    read = {
        table for name in metrics if name in semantics.metrics for table in semantics.tables(name)
    }
    on_wall_clock = {each.name for each in load_catalog(settings).public() if each.has_wall_clock}
    if not read or not read <= on_wall_clock:
        return _last_whole_day(settings, snapshot_id)
    if snapshot_id is None:
        return wall_clock().date()
    return snapshots.show(settings, snapshot_id).published_at.astimezone(UTC).date()


def _span(now: date, start: date | str | None, end: date | str | None) -> tuple[date | None, date]:
    """Cumulative metrics would go on to the end of the time spine, years ahead."""
    first, last = _day(start), _day(end)
    if first is not None and first > now:
        raise QueryError(
            f"The time asked starts on {first}; the history ends on {now}.",
            remedy="Ask for an earlier start.",
        )
    return first, min(last, now) if last is not None else now


def _day(value: date | str | None) -> date | None:
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise QueryError(
            f"{value!r} is not a day.", remedy="Write it as year-month-day: 2026-03-31."
        ) from error
