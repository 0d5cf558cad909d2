"""Change capture: every row of a table once, then every change of it, in the order of commits.

The slot is peeked at, what it says lands together with the place in the log that was reached, and
only then the slot moves on. Whoever is killed in between reads the same changes again and knows
them by their place.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg

from ingestion.connectors import pg_source
from ingestion.connectors.conversion import copy
from ingestion.connectors.declaration import Connector
from ingestion.connectors.delivery import Stream
from ingestion.connectors.outcome import Fetched, Report
from ingestion.connectors.pg_changes import Capture
from ingestion.connectors.pg_snapshot import snapshot_tables
from ingestion.connectors.pg_source import OURS, Slot, Table, connected, explained, lsn, lsn_text
from ingestion.connectors.pg_values import Types
from ingestion.connectors.words import PostgresEntity, PostgresSource
from warehouse.errors import ContractError, SluiceError
from warehouse.settings import Settings

STREAM = "changes"


def fetch_postgres(settings: Settings, connector: Connector, report: Report) -> Fetched:
    _check_contracts(connector)
    declared = connector.source_as(PostgresSource)
    with (
        explained(connector.source),
        connected(declared.url, connector.source) as connection,
        connected(declared.url, connector.source) as asking,
    ):
        reading = _Reading(settings, connector, declared, connection, asking, report)
        try:
            return reading.fetch()
        except Exception:
            reading.drop_slot_if_too_far_behind()
            raise


class _Reading:
    """One fetch of one database."""

    def __init__(
        self,
        settings: Settings,
        connector: Connector,
        declared: PostgresSource,
        connection: psycopg.Connection[Any],
        asking: psycopg.Connection[Any],
        report: Report,
    ) -> None:
        self.source, self.declared = connector.source, declared
        self.connection, self.asking, self.report = connection, asking, report
        self.slot, self.publication = pg_source.names_of(declared, self.source)
        self.fetched = Fetched(self.source, "postgres")
        self.stream = Stream(settings, self.source, STREAM)
        self.entities = connector.entities_as(PostgresEntity)
        self.types = Types(asking)

    def fetch(self) -> Fetched:
        self.stream.settle()
        server = pg_source.check_server(self.connection, self.source)
        tables = {
            name: pg_source.read_table(self.connection, self.source, name, each.table)
            for name, each in self.entities.items()
        }
        pg_source.publish(self.connection, self.publication, tables)
        self._alarm(self._slot(server))
        self._snapshots(server, tables)
        try:
            self._changes(tables)
        except psycopg.errors.InternalError as error:
            # There are states of its log from which no server of ours can read on.
            self._give_up(f"the server cannot read its own log: {error}".strip(), None)
            self._slot(server)
            self._snapshots(server, tables)
            self._changes(tables)
        after = pg_source.read_slot(self.connection, self.slot)
        self.fetched.lag_bytes = after.retained_bytes if after else None
        return self.fetched

    def drop_slot_if_too_far_behind(self) -> None:
        """We cannot go on, and the server's disk is not ours to fill."""
        limit = self.declared.drop_slot_bytes
        if not limit:
            return
        with (
            suppress(psycopg.Error, SluiceError),
            connected(self.declared.url, self.source) as connection,
        ):
            found = pg_source.read_slot(connection, self.slot)
            if found is not None and not found.is_active and found.retained_bytes > limit:
                pg_source.drop_slot(connection, self.slot)
                self.report(f"✗ {self.source}: the slot {self.slot} held back "
                            f"{found.retained_bytes:,} bytes and is dropped")  # fmt: skip

    def _slot(self, server: str) -> Slot | None:
        """The slot that carries on from our cursor; made, where we begin."""
        found = pg_source.read_slot(self.connection, self.slot)
        cursor = self.stream.cursor
        if cursor.get("tables") and (lost := self._why_lost(found, server)):
            self._give_up(lost, found)
            found = None
        if found is not None and (found.is_lost or not self.stream.cursor.get("tables")):
            # Nothing that it holds back is waited for: every table is about to be read.
            pg_source.drop_slot(self.connection, self.slot)
            found = None
        if found is None:
            pg_source.create_slot(self.connection, self.slot)
            if not pg_source.is_bounded(self.connection):
                self.fetched.notes.append(
                    "the server keeps its log for the slot without bound: set "
                    "max_slot_wal_keep_size there, so that an abandoned slot cannot fill its disk"
                )
        return found

    def _why_lost(self, found: Slot | None, server: str) -> str:
        cursor = self.stream.cursor
        if cursor.get("server") != server:
            return "it is another server than the one that was read so far"
        if found is None:
            return f"its slot {self.slot} is gone"
        if found.is_lost:
            return f"its slot {self.slot} fell too far behind and was given up by the server"
        if found.confirmed > lsn(cursor.get("lsn", "FFFFFFFF/FFFFFFFF")):
            return f"somebody else has read on with its slot {self.slot}"
        return ""

    def _give_up(self, why: str, found: Slot | None) -> None:
        """Changes are lost: stop, or begin anew with a snapshot of everything."""
        since = self.stream.cursor.get("lsn", "its snapshot")
        if self.declared.lost_slot == "stop":
            raise SluiceError(
                f"The changes of {self.source} since {since} are lost: {why}.",
                remedy="`sluice ingest --forget` and a fetch read every table anew; "
                "`lost_slot: snapshot` in the connector does so by itself.",
            )
        if found is not None:
            pg_source.drop_slot(self.connection, self.slot)
        self.fetched.problems.append(
            f"the changes since {since} are lost ({why}): every table is read anew"
        )
        delivery, cursor = self.stream.begin(), self.stream.cursor
        cleared = sorted({*cursor.get("cleared", ()), *cursor.get("tables", {})})
        self.stream.commit(delivery, {"cleared": cleared, "tables": {}, "server": ""})

    def _alarm(self, found: Slot | None) -> None:
        if found is not None and found.retained_bytes > self.declared.alarm_bytes:
            self.fetched.problems.append(
                f"the slot {self.slot} held back {found.retained_bytes:,} bytes of the server's "
                f"log when this fetch began (alarm_bytes: {self.declared.alarm_bytes:,})"
            )

    def _snapshots(self, server: str, tables: dict[str, Table]) -> None:
        cursor = self.stream.cursor
        if cursor.get("server") != server:
            self.stream.commit(self.stream.begin(), {**cursor, "server": server})
        known = self.stream.cursor.get("tables", {})
        missing = [
            table
            for name, table in tables.items()
            if known.get(name, {}).get("table") != table.full_name
        ]
        if missing:
            cleared = {*cursor.get("cleared", ()), *known}
            snapshot_tables(
                self.stream, self.declared, missing, self.types, frozenset(cleared), self.fetched,
                self.report,
            )  # fmt: skip

    def _changes(self, tables: dict[str, Table]) -> None:
        upto = pg_source.flushed(self.connection)
        is_over = False
        while not is_over:
            cursor = self.stream.cursor
            reached = lsn(cursor["lsn"]) if "lsn" in cursor else 0
            capture = Capture(
                self.connection, self.asking, tables, {**cursor, "lsn": reached}, self.types
            )
            capture.read(self.slot, self.publication, upto, self.declared.changes_a_batch)
            is_over = capture.messages < self.declared.changes_a_batch
            if is_over:
                capture.reached = max(capture.reached, upto)
            self._commit(capture)
            pg_source.advance(self.connection, self.slot, capture.reached)
            if not is_over:
                self.report(f"  {self.source}: until {lsn_text(capture.reached)}")

    def _commit(self, capture: Capture) -> None:
        capture.close()
        cursor = {**self.stream.cursor, "lsn": lsn_text(capture.reached)}
        if cursor == self.stream.cursor:
            return
        delivery = self.stream.begin()
        for entity, lines in capture.lines.items():
            if lines.rows:
                lines.file.seek(0)
                with delivery.batch(entity, "changes", "jsonl") as into:
                    copy(lines.file, into)
                self.fetched.add(entity, files=1, rows=lines.rows, size=lines.size)
            lines.file.close()
        self.stream.commit(delivery, cursor)


def _check_contracts(connector: Connector) -> None:
    for name in connector.entities:
        contract = connector.contracts[name]
        lacking = [each for each in OURS if each not in {c.name for c in contract.columns}]
        if contract.format != "jsonl" or lacking:
            raise ContractError(
                f"{connector.file}: {connector.source}.{name}: captured changes land as JSON lines "
                f"with {', '.join(OURS)}.",
                remedy="Say `format: jsonl` and give the table these columns.",
            )
