"""Pulls from any database that SQLAlchemy speaks: whole tables, or what is new by a cursor."""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, BinaryIO, Final, cast

import orjson
import sqlalchemy as sa

from ingestion.connectors.conversion import copy
from ingestion.connectors.declaration import Connector
from ingestion.connectors.delivery import Stream
from ingestion.connectors.outcome import Fetched, Report
from ingestion.connectors.words import SqlEntity, SqlSource
from warehouse.errors import ContractError, SettingsError, SluiceError
from warehouse.settings import Settings

_ROWS_AT_ONCE: Final = 5000


def fetch_sql(settings: Settings, connector: Connector, report: Report) -> Fetched:
    declared = connector.source_as(SqlSource)
    entities = connector.entities_as(SqlEntity)
    for name, entity in entities.items():
        _check(connector, name, entity)
    fetched = Fetched(connector.source, "sql")
    engine = _engine(declared.url, connector.source)
    try:
        with engine.connect().execution_options(stream_results=True) as connection:
            for name, entity in entities.items():
                stream = Stream(settings, connector.source, name)
                stream.settle()
                _pull(connection, stream, name, entity, fetched)
                report(f"  {name}: {fetched.entities[name].rows:,} rows")
    except sa.exc.SQLAlchemyError as error:
        raise SluiceError(
            f"The database of {connector.source} failed us: {_in_short(error)}",
            remedy="Look at `url`, `table`, `query` and `cursor` of its connector.",
        ) from error
    finally:
        engine.dispose()
    return fetched


def first_rows(url: str, table: str, rows: int) -> list[bytes]:
    """What the first pull of a table would land, up to so many rows."""
    engine = _engine(url, table)
    try:
        with engine.connect().execution_options(stream_results=True) as connection:
            statement, _ = _statement(connection, SqlEntity(table=table), None)
            found = connection.execute(statement).fetchmany(rows)
            return [orjson.dumps(dict(row._mapping), default=_plain) + b"\n" for row in found]
    except sa.exc.SQLAlchemyError as error:
        raise SluiceError(
            f"The table {table} cannot be read: {_in_short(error)}",
            remedy="Look at --connection and --table, and at the rights of its user.",
        ) from error
    finally:
        engine.dispose()


def _pull(
    connection: sa.Connection, stream: Stream, name: str, entity: SqlEntity, fetched: Fetched
) -> None:
    with tempfile.TemporaryFile() as file:
        made = cast(BinaryIO, file)
        pull = _Pull(entity, stream.cursor)
        for row in connection.execute(*_statement(connection, entity, pull.start)).yield_per(
            _ROWS_AT_ONCE
        ):
            line = pull.take(row._mapping)
            if line is not None:
                made.write(line)
        fetched.add(name)
        if pull.rows and pull.is_news:
            delivery, size = stream.begin(), made.tell()
            made.seek(0)
            with delivery.batch(name, "rows", "jsonl") as into:
                copy(made, into)
            stream.commit(delivery, pull.cursor_after())
            fetched.add(name, files=1, rows=pull.rows, size=size)


class _Pull:
    """The rows of one pull, less those that are known, and how far they reach."""

    def __init__(self, entity: SqlEntity, cursor: Mapping[str, Any]) -> None:
        self._entity, self._before = entity, cursor
        self._known = set(cursor.get("edge", ()))
        self._overlap = timedelta(seconds=entity.overlap_seconds)
        self._highest: Any = _restored(cursor)
        self._edge: deque[tuple[Any, str]] = deque()
        self._whole = hashlib.blake2b(digest_size=16)
        self.start = self._less_overlap(self._highest)
        self.rows = 0

    def take(self, row: Mapping[Any, Any]) -> bytes | None:
        line = orjson.dumps(dict(row), default=_plain) + b"\n"
        digest = hashlib.blake2b(line, digest_size=12).hexdigest()
        self._whole.update(digest.encode())
        if self._entity.cursor:
            self._note(row[self._entity.cursor], digest)
            if digest in self._known:
                return None
        self.rows += 1
        return line

    def _note(self, value: Any, digest: str) -> None:
        """Rows come in the order of the cursor: what the next pull will be given again."""
        self._highest = value
        self._edge.append((value, digest))
        reached = self._less_overlap(value)
        while self._edge[0][0] < reached:
            self._edge.popleft()

    def _less_overlap(self, value: Any) -> Any:
        is_moment = isinstance(value, datetime) and bool(self._overlap)
        return value - self._overlap if is_moment else value

    @property
    def is_news(self) -> bool:
        return bool(self._entity.cursor) or self._whole.hexdigest() != self._before.get("whole")

    def cursor_after(self) -> dict[str, Any]:
        if not self._entity.cursor:
            return {"whole": self._whole.hexdigest()}
        value = self._highest
        kind = next((k for k, t in _KINDS.items() if type(value) is t), "text")
        return {"highest": str(value), "kind": kind, "edge": [digest for _, digest in self._edge]}


_KINDS: Final[Mapping[str, type]] = {
    "datetime": datetime,
    "date": date,
    "int": int,
    "float": float,
    "decimal": Decimal,
}


def _restored(cursor: Mapping[str, Any]) -> Any:
    if "highest" not in cursor:
        return None
    kind, text = cursor["kind"], cursor["highest"]
    if kind in ("datetime", "date"):
        return _KINDS[kind].fromisoformat(text)  # type: ignore[attr-defined]
    return _KINDS[kind](text) if kind in _KINDS else text


def _statement(
    connection: sa.Connection, entity: SqlEntity, start: Any
) -> tuple[sa.TextClause, dict[str, Any]]:
    quote = connection.dialect.identifier_preparer.quote
    table = ".".join(quote(part) for part in entity.table.split(".")) if entity.table else ""
    # The declared query is the user's own SQL: a colon in it is no parameter.
    query = entity.query.strip().rstrip(";").replace(":", "\\:")
    base = f"select * from {table}" if table else query
    if not entity.cursor:
        return sa.text(base), {}
    cursor = quote(entity.cursor)
    condition, parameters = "is not null", dict[str, Any]()
    if start is not None:
        condition, parameters = ">= :start", {"start": start}
    text = f"select * from ({base}) q where q.{cursor} {condition} order by q.{cursor}"
    return sa.text(text), parameters


def _engine(url: str, source: str) -> sa.Engine:
    try:
        return sa.create_engine(url, hide_parameters=True)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
        raise SettingsError(
            f"The database of {source} cannot be spoken to: {_in_short(error)}",
            remedy="`url` is one of SQLAlchemy's (dialect+driver://user@host/name); its driver "
            "must be installed.",
        ) from error


def _check(connector: Connector, name: str, entity: SqlEntity) -> None:
    where = f"{connector.file}: {connector.source}.{name}"
    if bool(entity.table) == bool(entity.query):
        raise ContractError(
            f"{where}: its connector needs either `table` or `query`.",
            remedy="Say which rows are pulled, in one of both ways.",
        )
    if connector.contracts[name].format != "jsonl":
        raise ContractError(
            f"{where}: pulled rows land as JSON lines.", remedy="Say `format: jsonl` in its meta."
        )


def _plain(value: object) -> object:
    """What JSON has no word for: decimals keep their digits, bytes are hexadecimal."""
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    return str(value)


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split("\n")[0].split())[:300]
