"""The desk: where rows are parsed and judged before they are in raw.

On DuckDB that is the workshop itself. For PostgreSQL it is a DuckDB in memory, from which COPY
takes what fits into raw and what does not into quarantine, in the transaction of the caller.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Final

import duckdb

from ingestion.contracts import Contract
from ingestion.inspection import Numbered
from ingestion.ledger import SCHEMA, ensure_ledger
from ingestion.raw import create_raw_table
from ingestion.taking import Intake, Reading, raw_column_names
from warehouse.connection import Connection, literal, named
from warehouse.copying import copy_rows
from warehouse.postgres import PostgresConnection
from warehouse.settings import Settings

# What does not fit into this goes to disk until it is delivered; less would be slower, not wrong.
MEMORY_LIMIT: Final = "1GB"
_QUARANTINE: Final = (
    "batch_id", "source", "entity", "file", "row_number", "reason", "column_name", "content",
    "quarantined_at", "replayed_at",
)  # fmt: skip


class Desk:
    """A DuckDB to work on, and the target in which the rows end."""

    def __init__(self, settings: Settings, target: Connection) -> None:
        self._settings, self.target = settings, target

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Made when the first row is looked at: most loads find nothing."""
        if isinstance(self.target, duckdb.DuckDBPyConnection):
            return self.target
        connection = duckdb.connect()
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set python_enable_replacements = false")
        connection.execute("set enable_progress_bar = false")
        connection.execute(
            f"set memory_limit = '{self._settings.duckdb_memory_limit or MEMORY_LIMIT}'"
        )
        spill = self._settings.own_dir / "warehouse" / "desk.tmp"
        # A process that was killed may have left something; there is one writer.
        shutil.rmtree(spill, ignore_errors=True)
        connection.execute(f"set temp_directory = {literal(str(spill))}")
        ensure_ledger(connection)
        return connection

    def clear(self, contract: Contract) -> None:
        """Before the first row of an entity: its empty table."""
        if self.connection is not self.target:
            self.connection.execute(f"drop table if exists {contract.relation}")
            create_raw_table(self.connection, contract)

    def intake(self, contract: Contract, files: Sequence[Numbered], now: datetime) -> Intake:
        if self.connection is self.target:
            return Intake(self.connection, contract, files, now)
        self.clear(contract)
        return _Delivering(self, contract, files, now)

    def deliver(self, contract: Contract) -> None:
        """Into the target what lies on the desk of this entity; the desk is clear then."""
        if not isinstance(self.target, PostgresConnection):
            return
        # COPY wants a number first.
        raw = ("_batch_id", *(c for c in raw_column_names(contract) if c != "_batch_id"))
        for relation, columns in ((contract.relation, raw), (f"{SCHEMA}.quarantine", _QUARANTINE)):
            query = f"select {', '.join(map(named, columns))} from {relation}"
            if self.connection.execute(f"{query} limit 1").fetchone():
                copy_rows(self.connection, query, self.target, relation, columns)
        self.clear(contract)
        self.connection.execute(f"truncate {SCHEMA}.quarantine")

    def close(self) -> None:
        if "connection" in self.__dict__ and self.connection is not self.target:
            self.connection.close()


@contextmanager
def desk_before(settings: Settings, target: Connection) -> Iterator[Desk]:
    desk = Desk(settings, target)
    try:
        yield desk
    finally:
        desk.close()


class _Delivering(Intake):
    """Chunk by chunk into the target, so that no more than one chunk lies on the desk."""

    def __init__(
        self, desk: Desk, contract: Contract, files: Sequence[Numbered], now: datetime
    ) -> None:
        super().__init__(desk.connection, contract, files, now)
        self._desk = desk

    def take(self, reading: Reading) -> None:
        super().take(reading)
        self.count()
        self._desk.deliver(self.contract)
