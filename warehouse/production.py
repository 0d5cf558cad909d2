"""What production publishes, copied beside a workshop of one's own: parents for a build that tries.

Production is a published folder of DuckDB or a PostgreSQL, whichever engine the workshop has.
There, a person sees what their own role sees: masked columns arrive masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

import duckdb

from warehouse import postgres, structure
from warehouse.connection import (
    ENGINE_ERRORS,
    NO_SUCH_TABLE,
    Connection,
    engine,
    literal,
    named,
)
from warehouse.errors import SettingsError, SluiceError
from warehouse.postgres import PostgresConnection
from warehouse.schemas import Schema
from warehouse.settings import Settings

SCHEMA: Final = Schema("production")
_FETCHED: Final = Schema("production._fetched")
_PUBLISHED: Final = "published"
_BLOCK: Final = 1024 * 1024
_WORDS: Final = {
    "numeric": "decimal(38,9)",
    "hugeint": "decimal(38,0)",
    "double": "double precision",
}


@dataclass(frozen=True)
class Fetched:
    """A table of production."""

    name: str
    rows: int
    was_here: bool


@dataclass(frozen=True)
class Snapshot:
    """What production shows, and what its "now" is."""

    snapshot_id: str
    as_of: datetime


class _Production(Protocol):
    """Somewhere that publishes."""

    shown: Snapshot

    @property
    def columns(self) -> Mapping[str, Mapping[str, str]]: ...

    def write_csv(self, name: str, file: Path) -> None: ...


def fetch(
    settings: Settings, connection: Connection, names: Sequence[str]
) -> tuple[Snapshot | None, list[Fetched]]:
    """Copy these public tables into the schema `production`, unless they are there already."""
    if not names:
        return None, []
    connection.execute(f"create schema if not exists {SCHEMA}")
    connection.execute(f"create table if not exists {_FETCHED} (name text, snapshot_id text)")
    known = dict(connection.execute(f"select name, snapshot_id from {_FETCHED}").fetchall())
    found: list[Fetched] = []
    with _opened(settings) as production, TemporaryDirectory(prefix="sluice-") as folder:
        published = production.columns
        missing = [name for name in names if name not in published]
        if missing:
            raise SluiceError(
                f"Production does not publish {', '.join(missing)}, or not to us.",
                remedy="Build it here, too (+name builds what a model reads), or ask its owner.",
            )
        for name in names:
            was_here = known.get(name) == production.shown.snapshot_id
            if not was_here:
                file = Path(folder) / f"{name}.csv"
                production.write_csv(name, file)
                _read_csv(connection, name, published[name], file)
                file.unlink()
                connection.execute(f"delete from {_FETCHED} where name = ?", [name])
                connection.execute(
                    f"insert into {_FETCHED} values (?, ?)", [name, production.shown.snapshot_id]
                )
            [count] = connection.execute(f"select count(*) from {_here(name)}").fetchone()
            found.append(Fetched(name, int(count), was_here))
        return production.shown, found


@contextmanager
def _opened(settings: Settings) -> Iterator[_Production]:
    where = settings.production.get_secret_value()
    if not where:
        raise SettingsError(
            "It is not known where production publishes.",
            remedy="Set SLUICE_PRODUCTION to its PostgreSQL (postgresql://…) or its folder "
            "`published`.",
        )
    try:
        if where.startswith(("postgresql://", "postgres://")) or "dbname=" in where:
            there = settings.model_copy(update={"postgres": settings.production})
            with closing(postgres.connect(there, read_only=True)) as session:
                # All tables are read from one snapshot.
                session.execute("begin transaction isolation level repeatable read read only")
                yield _Server(session, settings.production_schema)
        else:
            file = Path(where) / "current.duckdb" if Path(where).is_dir() else Path(where)
            if not file.exists():
                raise SettingsError(
                    f"Production publishes nothing at {where}.",
                    remedy="SLUICE_PRODUCTION names its folder `published`, or its PostgreSQL.",
                )
            with closing(duckdb.connect(":memory:")) as session:
                session.execute("set TimeZone = 'UTC'")
                session.execute(f"attach {literal(str(file.resolve()))} as there (read_only)")
                session.execute("use there.published")
                yield _File(session)
    except NO_SUCH_TABLE as error:
        raise SluiceError(
            f"Production has published nothing that we could read: {error}",
            remedy="`sluice published list` there says what it has; your role may lack the right.",
        ) from error


class _File:
    """A snapshot of DuckDB."""

    def __init__(self, session: duckdb.DuckDBPyConnection) -> None:
        self._session = session
        self.shown = _shown(session, _PUBLISHED)

    @cached_property
    def columns(self) -> Mapping[str, Mapping[str, str]]:
        return _of(_PUBLISHED, structure.columns(self._session))

    def write_csv(self, name: str, file: Path) -> None:
        self._session.execute(
            f"copy {_PUBLISHED}.{named(name)} to {literal(str(file))} (format csv, header false)"
        )


class _Server:
    """Where a PostgreSQL publishes, as far as one's own role sees it."""

    def __init__(self, session: PostgresConnection, schema: str) -> None:
        self._session = session
        self._schema = schema
        self.shown = _shown(session, schema)

    @cached_property
    def columns(self) -> Mapping[str, Mapping[str, str]]:
        """Those that one's own role may read: others are as if they were not there."""
        visible = self._session.execute(
            "select relname, attname from pg_attribute"
            " inner join pg_class on attrelid = pg_class.oid"
            f" where relnamespace = to_regnamespace({literal(named(self._schema))}) and attnum > 0"
            " and has_column_privilege(attrelid, attnum, 'select')"
        ).fetchall()
        readable = {tuple(each) for each in visible}
        found = _of(self._schema, structure.columns(self._session))
        seen = {
            name: {each: kind for each, kind in columns.items() if (name, each) in readable}
            for name, columns in found.items()
        }
        return {name: columns for name, columns in seen.items() if columns}

    def write_csv(self, name: str, file: Path) -> None:
        import psycopg

        listed = ", ".join(map(named, self.columns[name]))
        table = f"{named(self._schema)}.{named(name)}"
        statement = f"copy (select {listed} from {table}) to stdout (format csv)"
        try:
            with (
                self._session.raw.cursor().copy(statement.encode()) as copy,
                file.open("wb") as out,
            ):
                for block in copy:
                    out.write(block)
        except psycopg.Error as error:
            raise SluiceError(
                f"{self._schema}.{name} cannot be read from production: {postgres.said(error)}",
                remedy="Ask the owner of production for the right to read it.",
            ) from error


def _shown(session: Connection, schema: str) -> Snapshot:
    row = session.execute(f"select snapshot_id, as_of from {named(schema)}._publish").fetchone()
    return Snapshot(*row)


def _of(
    schema: str, found: Mapping[tuple[str, str], Mapping[str, str]]
) -> dict[str, Mapping[str, str]]:
    return {name: columns for (place, name), columns in found.items() if place == schema}


def _read_csv(connection: Connection, name: str, columns: Mapping[str, str], file: Path) -> None:
    kinds = {column: _type(kind) for column, kind in columns.items()}
    listed = ", ".join(f"{named(column)} {kind}" for column, kind in kinds.items())
    try:
        connection.execute(f"drop table if exists {_here(name)} cascade")
        connection.execute(f"create table {_here(name)} ({listed})")
        if engine(connection) == "duckdb":
            connection.execute(
                f"copy {_here(name)} from {literal(str(file))}"
                " (format csv, header false, auto_detect false, nullstr '')"
            )
            return
        assert isinstance(connection, PostgresConnection)
        statement = f"copy {_here(name)} from stdin (format csv)"
        with connection.raw.cursor().copy(statement.encode()) as copy, file.open("rb") as source:
            while block := source.read(_BLOCK):
                copy.write(block)
    except ENGINE_ERRORS as error:
        raise SluiceError(
            f"Production's {name} does not fit here: {postgres.said(error)}",
            remedy="Is the same Sluice there and here? `sluice --version` says.",
        ) from error


def _here(name: str) -> str:
    return f"{SCHEMA}.{named(name)}"


def _type(kind: str) -> str:
    """Words of one engine that the other does not know, or means otherwise by."""
    return _WORDS.get(kind.lower(), kind)
