"""Rows into raw and quarantine, and what each batch came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import duckdb

from ingestion.contracts import Contract
from ingestion.inspection import Numbered
from ingestion.ledger import SCHEMA, registered
from ingestion.raw import PLATFORM_COLUMNS
from ingestion.validation import PARSED, faults_table, judged, parse_into_temp, values


@dataclass(frozen=True)
class Scope:
    """Which rows of a reading are meant: all, or those of some batches that are not loaded."""

    batches: str = "true"
    rows: str = "true"


Texts = Callable[[Scope], str]
"""A query for texts: `where {batches}` early, `where {rows}` before anything is parsed."""


@dataclass(frozen=True)
class Reading:
    """The rows of a query, which by batch are so many or fewer."""

    texts: Texts
    row_counts: Mapping[int, int]
    # An expression for what was received of a row.
    content: str = "content"
    # The values are no texts, but have types of their own.
    has_types: bool = False
    # Adds what was received to the faulty rows among those looked at.
    complete: Callable[[], None] | None = None


class Sink(Protocol):
    """Where the readers of the formats put what they read."""

    connection: duckdb.DuckDBPyConnection
    contract: Contract

    def take(self, reading: Reading) -> None:
        """Take these rows."""

    def note_renamed(self, query: str) -> None:
        """By batch, the aliases under which columns arrived."""


@dataclass
class Taken:
    """By batch: rows loaded and quarantined, names that were unknown, names that are aliases."""

    counts: dict[int, tuple[int, int]] = field(default_factory=dict)
    added: dict[int, set[str]] = field(default_factory=dict)
    renamed: dict[int, set[str]] = field(default_factory=dict)


class Intake:
    """Into raw what fits, in one pass; only where rows are missing afterwards, a second look."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: Contract,
        files: Sequence[Numbered],
        now: datetime,
    ) -> None:
        self.connection, self.contract, self.now = connection, contract, now
        self.taken = Taken()
        self._quarantined: dict[int, int] = {}
        # Rows that were read so far, of batches that may go on in the next chunk.
        self._read: dict[int, int] = {}
        self._batches = _between([file.batch_id for file in files])

    def take(self, reading: Reading) -> None:
        for batch_id, count in reading.row_counts.items():
            self._read[batch_id] = self._read.get(batch_id, 0) + count
        rows = judged(self.contract, reading.texts(Scope()), has_types=reading.has_types)
        inserted = insert_good(self.connection, self.contract, self.now, "judged", rows)
        if inserted >= sum(reading.row_counts.values()):
            return
        look_at(self.connection, self.contract, reading, self._missing(list(reading.row_counts)))
        if reading.complete:
            reading.complete()
        self._insert_faulty()

    def _missing(self, batches: Sequence[int]) -> Scope:
        """The rows that are not in raw, of the batches of which some are not."""
        counts = dict(
            self.connection.execute(
                f"""select _batch_id, count(*) from {self.contract.relation}
                    where {_between(batches)} group by _batch_id"""
            ).fetchall()
        )
        short = [batch for batch in batches if counts.get(batch, 0) < self._read[batch]]
        listed = ", ".join(str(batch) for batch in short)
        # `not in` keeps the numbers of raw as the side that is hashed. An anti join would hash the
        # texts, of which DuckDB expects few.
        return Scope(
            f"list_position([{listed}]::bigint[], batch_id) > 0",
            f"""{_numbered("batch_id", "row_number")} not in (
                select {_numbered("_batch_id", "_row_number")}
                from {self.contract.relation} where {_between(short)}
            )""",
        )

    def note_renamed(self, query: str) -> None:
        for batch_id, found in self.connection.execute(query).fetchall():
            if found:
                self.taken.renamed.setdefault(batch_id, set()).update(found)

    def close(self) -> Taken:
        self.count()
        for batch_id, count in self._quarantined.items():
            good, _ = self.taken.counts.get(batch_id, (0, 0))
            self.taken.counts[batch_id] = (good, count)
        return self.taken

    def count(self) -> None:
        """Count what is in raw of each batch; after this it may leave."""
        counts = self.connection.execute(
            f"""select _batch_id, count(*) from {self.contract.relation}
                where {self._batches} group by _batch_id"""
        ).fetchall()
        for batch_id, count in counts:
            good, _ = self.taken.counts.get(batch_id, (0, 0))
            self.taken.counts[batch_id] = (good + count, 0)
        self._add_names(
            f"""select distinct _batch_id, json_keys(_extra) from {self.contract.relation}
                where {self._batches} and _extra is not null"""
        )
        self._read.clear()

    def _insert_faulty(self) -> None:
        with registered(self.connection, "sluice_faults", faults_table(self.contract)):
            self.connection.execute(
                f"""insert into {SCHEMA}.quarantine
                        (batch_id, source, entity, file, row_number, reason, column_name, content,
                         quarantined_at, replayed_at)
                    select batch_id, $source, $entity, file, row_number, reason, column_name,
                        content, $now::timestamptz, null
                    from {PARSED} join sluice_faults on code = fault
                    order by batch_id, row_number""",
                {
                    "source": self.contract.source,
                    "entity": self.contract.entity,
                    "now": self.now,
                },
            )
        counts = self.connection.execute(
            f"select batch_id, count(*) from {PARSED} group by batch_id"
        ).fetchall()
        for batch_id, count in counts:
            self._quarantined[batch_id] = self._quarantined.get(batch_id, 0) + count
        self._add_names(f"select distinct batch_id, unknown from {PARSED}")

    def _add_names(self, query: str) -> None:
        for batch_id, found in self.connection.execute(query).fetchall():
            if found:
                self.taken.added.setdefault(batch_id, set()).update(found)


def _numbered(batch_id: str, row_number: str) -> str:
    """A row as one number: a file of 2^38 rows would not be read as one."""
    return f"(({batch_id} << 38) + {row_number})"


def _between(batches: Sequence[int]) -> str:
    return f"_batch_id between {min(batches, default=0)} and {max(batches, default=0)}"


def raw_columns(contract: Contract) -> str:
    return ", ".join(f'"{name}"' for name in raw_column_names(contract))


def raw_column_names(contract: Contract) -> tuple[str, ...]:
    return (*(column.name for column in contract.columns), *(name for name, _ in PLATFORM_COLUMNS))


def look_at(
    connection: duckdb.DuckDBPyConnection, contract: Contract, reading: Reading, scope: Scope
) -> None:
    """Rows into the temporary table, each with its fault."""
    parse_into_temp(
        connection,
        contract,
        reading.texts(scope),
        content=reading.content,
        has_types=reading.has_types,
    )


def insert_good(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    now: datetime,
    origin: str,
    expressions: str = "",
) -> int:
    """Into raw what has no fault; `expressions` may say what the origin is."""
    [[count]] = connection.execute(
        f"""insert into {contract.relation} ({raw_columns(contract)})
            {expressions}
            select {values(contract)}, extra, batch_id, file, row_number, $now::timestamptz
            from {origin} where fault = 0""",
        {"now": now},
    ).fetchall()
    return int(count)
