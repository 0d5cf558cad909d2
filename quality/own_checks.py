"""Checks that the runner makes itself: structure, freshness, quarantine.

Soda's schema check takes bigint, integer and decimal for the same type and reads every attached
database; its freshness check lets timestamps of the future pass. These are a few plain queries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from catalog.catalog import Dataset
from catalog.leaks import KeptBack
from ingestion.ledger import SCHEMA as LEDGER
from quality.check_file import DeclaredCheck
from quality.evaluation import CheckResult, answered, measured, shown
from quality.thresholds import Comparison, Threshold
from warehouse.connection import ENGINE_ERRORS, NO_SUCH_TABLE, Connection
from warehouse.engine_words import engine_message
from warehouse.structure import spelled

RECEIVED_ON = re.compile(r"(?:^|/)(\d{4}-\d{2}-\d{2})/")


@dataclass(frozen=True)
class Position:
    """The newest batch of an entity that its gate opened on, and when."""

    batch_id: int
    opened_at: datetime


@dataclass(frozen=True)
class _Batch:
    batch_id: int
    received_on: date | None
    rows: int
    quarantined: int
    loaded_at: datetime
    stamp: str

    @property
    def arrived_at(self) -> datetime:
        """A local file's time of writing; a store's tag tells no time."""
        if self.stamp.isdigit():
            return datetime.fromtimestamp(int(self.stamp) / 1e9, UTC)
        return self.loaded_at


@dataclass(frozen=True)
class Batches:
    """One entity's loaded batches that an evaluation looks at."""

    newest: int | None
    after: int
    loaded_rows: int
    quarantined_rows: int
    received_on: date | None
    arrived_at: datetime | None = None
    """When the first file came that the gate has not opened on."""
    rows_by_day: Mapping[date, int] = field(default_factory=dict)


def declared(dataset: Dataset) -> tuple[DeclaredCheck, ...]:
    checks = [DeclaredCheck("schema", "schema", "schema", None)]
    hours = freshness_hours(dataset)
    if hours is not None:
        bound = Threshold(Comparison("must_be_less_than", hours))
        checks.append(DeclaredCheck("freshness", "freshness", "hours behind", bound))
    return tuple(checks)


def freshness_hours(dataset: Dataset) -> float | None:
    """The promised hours, where it is known what to measure."""
    level = dataset.meta.get("service_level")
    if not isinstance(level, Mapping) or "freshness_hours" not in level:
        return None
    if dataset.layer != "raw" and "column" not in level:
        return None
    return float(level["freshness_hours"])


def schema_check(
    connection: Connection, dataset: Dataset, actual: Mapping[str, str] | None
) -> CheckResult:
    if actual is None:
        what = "nothing was loaded yet" if dataset.layer == "raw" else "it was never built"
        return _schema_fault(1, f"{dataset.relation} does not exist: {what}")
    faults: list[str] = []
    for column in dataset.columns:
        if column.name not in actual:
            faults.append(f"`{column.name}` is missing")
        elif column.data_type:
            expected = spelled(connection, column.data_type)
            if expected != actual[column.name]:
                faults.append(f"`{column.name}` is {actual[column.name]}, declared {expected}")
    if dataset.is_public:
        known = {column.name for column in dataset.columns}
        faults += [f"`{name}` is not declared" for name in actual if name not in known]
    if faults:
        return _schema_fault(len(faults), "; ".join(faults))
    return CheckResult("schema", "schema", "schema", "pass", 0.0, "must be as declared")


def _schema_fault(count: int, message: str) -> CheckResult:
    return CheckResult(
        "schema", "schema", "schema", "fail", float(count), "must be as declared", message=message
    )


def classification_check(found: KeptBack) -> CheckResult:
    """Of a table that no publish takes in: somebody is to be told, as of whatever shuts a gate."""
    name, _, message = found.reason.partition(": ")
    return CheckResult("classification", "classification", name, "fail", message=message)


def batches(
    connection: Connection,
    datasets: Sequence[Dataset],
    opened: Mapping[str, Position],
    window_days: Mapping[str, int],
    as_of: Mapping[str, datetime],
) -> dict[str, Batches]:
    """Per raw dataset: which batches are due, what was set aside, when it last received."""
    if not datasets:
        return {}
    found: dict[str, list[_Batch]] = {}
    try:
        rows = connection.execute(
            "select source, entity, batch_id, file, row_count, loaded_at,"
            " coalesce(unread, 0), coalesce(file_stamp, '')"
            f" from {LEDGER}.batches left join"
            f" (select batch_id, count(*) as unread from {LEDGER}.quarantine"
            " where replayed_at is null group by batch_id) as quarantined using (batch_id)"
            " where source in (select unnest(?::varchar[]))",
            [sorted({each.source for each in datasets})],
        ).fetchall()
    except NO_SUCH_TABLE:
        rows = []
    for source, entity, batch_id, file, row_count, loaded_at, unread, stamp in rows:
        found.setdefault(f"raw.{source}.{entity}", []).append(
            _Batch(batch_id, _received_on(file), row_count or 0, unread, loaded_at, stamp)
        )
    return {
        each.key: _due(
            found.get(each.key, []),
            opened.get(each.key),
            window_days[each.key],
            as_of[each.key],
        )
        for each in datasets
    }


def _due(
    ledger: Sequence[_Batch], opened: Position | None, window_days: int, as_of: datetime
) -> Batches:
    """After the last batch the gate opened on, and at least the newest received days."""
    days = sorted({each.received_on for each in ledger if each.received_on}, reverse=True)
    after = -1
    if opened is not None and days and _was_seen(ledger, opened):
        first_day = days[min(window_days, len(days)) - 1]
        recent = (x.batch_id for x in ledger if x.received_on and x.received_on >= first_day)
        after = min(opened.batch_id, min(recent) - 1)
    due = [each for each in ledger if each.batch_id > after]
    past = [day for day in days if day <= as_of.date()]
    news = [each for each in ledger if opened is None or each.batch_id > opened.batch_id]
    return Batches(
        newest=max((each.batch_id for each in ledger), default=None),
        after=after,
        loaded_rows=sum(each.rows for each in due),
        quarantined_rows=sum(each.quarantined for each in due),
        # What was received after a pinned now is as new as can be.
        received_on=past[0] if past else as_of.date() if days else None,
        rows_by_day=_rows_by_day(ledger),
        arrived_at=min((each.arrived_at for each in news), default=None),
    )


def _rows_by_day(ledger: Sequence[_Batch]) -> dict[date, int]:
    found: dict[date, int] = {}
    for each in ledger:
        if each.received_on is not None:
            found[each.received_on] = found.get(each.received_on, 0) + each.rows
    return found


def _was_seen(ledger: Sequence[_Batch], opened: Position) -> bool:
    """False after raw was rebuilt from landing: its batches are new, whatever their numbers."""
    return any(
        each.batch_id == opened.batch_id and each.loaded_at <= opened.opened_at for each in ledger
    )


def _received_on(file: str) -> date | None:
    found = RECEIVED_ON.search(file)
    return date.fromisoformat(found.group(1)) if found else None


def quarantine_check(check: DeclaredCheck, batches: Batches) -> CheckResult:
    assert check.threshold is not None
    value = float(batches.quarantined_rows)
    if check.threshold.percent:
        received = batches.loaded_rows + batches.quarantined_rows
        value = 100.0 * value / received if received else 0.0
    outcome = check.threshold.judge(value)
    message = "" if outcome == "pass" else measured(check.threshold, value)
    return answered(check, outcome, value, message)


def arrival_check(dataset: Dataset, batches: Batches, as_of: datetime) -> CheckResult:
    """A file counts as received at the end of its day: no false alarm, at most a day late."""
    if batches.received_on is None:
        return _stale(dataset, None, as_of, "nothing was ever received")
    end = datetime.combine(batches.received_on, datetime.min.time(), as_of.tzinfo)
    return _stale(dataset, end + timedelta(days=1), as_of, "")


def freshness(
    connection: Connection,
    datasets: Sequence[Dataset],
    now: Mapping[str, datetime],
) -> tuple[tuple[str, CheckResult], ...]:
    """Of those that promise it, how fresh they are at this moment."""
    promised = [each for each in datasets if freshness_hours(each) is not None]
    raw = [each for each in promised if each.layer == "raw"]
    ledger = batches(connection, raw, {}, {each.key: 1 for each in raw}, now) if raw else {}
    return tuple(
        (
            each.key,
            arrival_check(each, ledger[each.key], now[each.key])
            if each.layer == "raw"
            else column_freshness_check(connection, each, now[each.key]),
        )
        for each in promised
    )


def column_freshness_check(
    connection: Connection, dataset: Dataset, as_of: datetime
) -> CheckResult:
    """The newest value of the column that the service level names; the future does not count."""
    column = str(dataset.meta["service_level"]["column"])
    try:
        row = connection.execute(
            f'select max("{column}"::timestamptz) from {dataset.relation}'
            f' where "{column}"::timestamptz <= ?',
            [as_of],
        ).fetchone()
    except ENGINE_ERRORS as error:
        return _stale(dataset, None, as_of, f"cannot be measured: {engine_message(str(error))}")
    return _stale(dataset, row[0] if row else None, as_of, "holds no row up to now")


def _stale(dataset: Dataset, newest: datetime | None, as_of: datetime, none: str) -> CheckResult:
    hours = freshness_hours(dataset)
    assert hours is not None
    threshold = Threshold(Comparison("must_be_less_than", hours))
    if newest is None:
        return CheckResult(
            "freshness",
            "freshness",
            "hours behind",
            "fail",
            None,
            str(threshold),
            message=none,
            expected_high=hours,
        )
    behind = max(0.0, (as_of - newest).total_seconds() / 3600)
    outcome = threshold.judge(behind)
    message = ""
    if outcome != "pass":
        message = (
            f"newest data is {shown(behind)} hours old ({newest:%Y-%m-%d %H:%M}),"
            f" promised within {shown(hours)}"
        )
    return CheckResult(
        "freshness",
        "freshness",
        "hours behind",
        outcome,
        behind,
        str(threshold),
        message=message,
        expected_high=hours,
    )
