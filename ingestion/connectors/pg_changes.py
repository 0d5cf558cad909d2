"""Changes as landed rows: each with its place in the log, so that it is known if it comes twice."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, cast

import orjson
import psycopg
from psycopg import sql

from ingestion.connectors.pg_source import Table, lsn_text
from ingestion.connectors.pg_values import Types
from ingestion.connectors.pgoutput import Change, Committed, Ended, messages

_ROWS_HELD: Final = 2000
_HELD_BYTES: Final = 8 * 1024 * 1024


class Lines:
    """The rows of one table, on their way into a file."""

    def __init__(self, connection: psycopg.Connection[Any], table: Table, types: Types) -> None:
        self.table, self._connection, self._types = table, connection, types
        self.file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_HELD_BYTES))  # noqa: SIM115
        self.rows, self.size = 0, 0
        self._held: list[tuple[bytes, Change]] = []
        self._heads: dict[str, bytes] = {}

    def add(self, head: bytes, change: Change) -> None:
        self._held.append((head, change))
        self.rows += 1
        if len(self._held) >= _ROWS_HELD:
            self.flush()

    def flush(self) -> None:
        unsent = [change for _, change in self._held if change.unsent]
        if unsent:
            self._complete(unsent)
        heads, lines = self._heads, []
        for head, change in self._held:
            parts = [head]
            for name, value in change.values.items():
                known = heads.get(name)
                if known is None:
                    known = heads[name] = b"," + orjson.dumps(name) + b":"
                parts.append(known)
                parts.append(value)
            parts.append(b"}\n")
            lines.append(b"".join(parts))
        content = b"".join(lines)
        self.file.write(content)
        self.size += len(content)
        self._held.clear()

    def _complete(self, changes: Sequence[Change]) -> None:
        """Large values that did not change are not sent: ask for them, as they are now.

        A row that is gone by now has a delete to come. Who needs the history of such columns to
        the letter says REPLICA IDENTITY FULL; then the old row is sent, and nobody asks.
        """
        key = [name for name in self.table.key if name in self.table.columns]
        there = [name for name in {n for c in changes for n in c.unsent} if name in
                 self.table.columns]  # fmt: skip
        if not key or not there:
            return
        keys = [[_plain(change.values.get(name, b"null")) for change in changes] for name in key]
        query = sql.SQL(
            "select k.ord, {values} from {table} t join unnest({arrays}) with ordinality as "
            "k({names}, ord) on {same}"
        ).format(
            values=sql.SQL(", ").join(_as_text(name) for name in there),
            table=self.table.identifier,
            arrays=sql.SQL(", ").join(
                sql.SQL("{}::text[]::{}[]").format(
                    sql.Placeholder(), sql.SQL(self._type(self.table.columns[name]))
                )
                for name in key
            ),
            names=sql.SQL(", ").join(sql.Identifier(f"k_{name}") for name in key),
            same=sql.SQL(" and ").join(
                sql.SQL("t.{} = k.{}").format(sql.Identifier(name), sql.Identifier(f"k_{name}"))
                for name in key
            ),
        )
        for row in self._connection.execute(query, keys).fetchall():
            change = changes[row[0] - 1]
            for name, value in zip(there, row[1:], strict=True):
                if name in change.unsent:
                    convert = self._types.converter(self.table.columns[name])
                    change.values[name] = b"null" if value is None else convert(value.encode())

    def _type(self, oid: int) -> str:
        row = self._connection.execute("select format_type(%s, null)", [oid]).fetchone()
        return str(row[0]) if row else "text"


def _as_text(name: str) -> sql.Composed:
    """By its output function, as changes are written: a cast may write another text."""
    column = sql.Identifier("t", name)
    return sql.SQL("case when {} is not null then format('%%s', {}) end").format(column, column)


def _plain(value: bytes) -> str | None:
    found = orjson.loads(value)
    return found if found is None or isinstance(found, str) else value.decode()


class Capture:
    """What lies between two places of the log, by table."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        asking: psycopg.Connection[Any],
        tables: Mapping[str, Table],
        cursor: Mapping[str, Any],
        types: Types,
    ) -> None:
        self._connection, self._types = connection, types
        self._cursor, self._tables, self._asking = cursor, tables, asking
        self.lines: dict[str, Lines] = {}
        self.reached: int = int(cursor.get("lsn", 0))
        self.messages = 0

    def read(self, slot: str, publication: str, upto: int, at_most: int) -> None:
        after = self.reached
        head, number, starts = b"", 0, self._starts()
        raw = _raw(self._connection, slot, publication, upto, at_most)
        place, keys = 0, {table.full_name: table.key for table in self._tables.values()}
        for message in messages(self._counted(raw), self._types.converter, keys):
            if isinstance(message, Change):
                number += 1
                start = starts.get(message.relation.name)
                # What a former fetch has committed, and what the table's snapshot has already.
                if start is None or place < start[1] or place < after:
                    continue
                prefix = b'{"change_id":"%016X-%012d","op":"%s"' % (
                    place, number, message.op.encode()
                )  # fmt: skip
                self._lines(start[0]).add(prefix + head, message)
            elif isinstance(message, Committed):
                place, number = message.lsn, 0
                head = b',"changed_at":"%s"' % message.at.encode()
            elif isinstance(message, Ended):
                self.reached = max(self.reached, message.lsn)

    def close(self) -> None:
        for each in self.lines.values():
            each.flush()

    def _counted(self, raw: Iterator[bytes]) -> Iterator[bytes]:
        for data in raw:
            self.messages += 1
            yield data

    def _starts(self) -> dict[str, tuple[str, int]]:
        known = self._cursor.get("tables", {})
        return {
            table.full_name: (entity, int(known[entity]["from"]))
            for entity, table in self._tables.items()
            if entity in known
        }

    def _lines(self, entity: str) -> Lines:
        if entity not in self.lines:
            self.lines[entity] = Lines(self._asking, self._tables[entity], self._types)
        return self.lines[entity]


def _raw(
    connection: psycopg.Connection[Any], slot: str, publication: str, upto: int, at_most: int
) -> Iterator[bytes]:
    """The plugin's messages; the slot stays where it is until what they say has landed."""
    query = sql.SQL(
        """copy (select data from pg_logical_slot_peek_binary_changes({}, {}::pg_lsn, {},
            'proto_version', '1', 'publication_names', {})) to stdout (format binary)"""
    ).format(
        sql.Literal(slot), sql.Literal(lsn_text(upto)), sql.Literal(at_most),
        sql.Literal(publication),
    )  # fmt: skip
    with connection.cursor().copy(query) as copied:
        for part in copied:
            row = bytes(part)
            if row.startswith(b"PGCOPY\n"):
                row = row[19:]
            # One field: its count, its length, its bytes; at the end a count of minus one.
            if len(row) > 6:
                yield row[6:]
