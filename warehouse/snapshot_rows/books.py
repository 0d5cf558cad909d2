"""What the published rows on PostgreSQL are: which snapshots there are, and what each shows.

Every publish and every roll back has a number. A published row carries the number that brought it
(`_from`); one that is not shown any more lies in the table of the past, with the number that took
it away (`_to`). A snapshot is the rows that were shown at its number: nothing is copied to keep it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Final

from warehouse import postgres
from warehouse.connection import Connection, EngineError, NoSuchTableError, named
from warehouse.errors import LockedError, PublishError
from warehouse.postgres import PostgresConnection, lost, sqlstate
from warehouse.schemas import Schema, lock
from warehouse.settings import Settings
from warehouse.snapshots import PublishedTable, Snapshot
from warehouse.versions import Version

SCHEMA: Final = Schema("snapshots")
VIEWS: Final = Schema("published")
# As WRITER_LOCK: everybody only has to name the same one.
PUBLISH_LOCK: Final = 0x51_01CF
TRIES: Final = 40
STATES: Final = (
    "table_name, state, shows_snapshot, shows_since, stale_since, reason, row_count, owner, tier,"
    " classification, description"
)

SHAPE: Final = "shape, table_name, column_names, column_types, masked, masks"

_BOOKS: Final = """
create schema if not exists {snapshots};
create schema if not exists {published};
create table {snapshots}._snapshots (
    number bigint primary key, snapshot_id text not null unique, published_at timestamptz not null,
    as_of timestamptz not null, run_id text not null, size_bytes bigint not null
);
create table {snapshots}._states (
    number bigint, table_name text, state text not null, shows_snapshot text,
    shows_since timestamptz, stale_since timestamptz, reason text not null, row_count bigint,
    owner text not null, tier integer not null, classification text not null,
    description text not null, primary key (number, table_name)
);
create table {snapshots}._versions (
    number bigint, table_name text, build text not null, touches bigint, content text not null,
    written_in text not null, masks text not null, primary key (number, table_name)
);
create table {snapshots}._shapes (
    shape bigint primary key, table_name text not null, column_names text[] not null,
    column_types text[] not null, masked text[] not null, masks text not null
);
create table {snapshots}._views (
    table_name text primary key, definition text not null, masked text[] not null,
    audiences jsonb not null
);
create table {snapshots}._tickets (
    ticket bigint primary key generated always as identity, table_name text not null,
    reader text not null, reason text not null, given_at timestamptz not null default now(),
    until timestamptz not null, pid integer not null, backend_start timestamptz not null,
    xid xid8 not null
);
create table {snapshots}._accesses (
    access bigint primary key generated always as identity, happened_at timestamptz not null
    default clock_timestamp(), event jsonb not null, is_logged boolean not null default false
);
create table {snapshots}._members (role text, member text, primary key (role, member));
create table {snapshots}._lives (
    shape bigint not null, from_number bigint not null, to_number bigint,
    primary key (shape, from_number)
);
create table {snapshots}._pins (
    snapshot_id text primary key, reason text not null, pinned_by text not null,
    pinned_at timestamptz not null, until timestamptz
);
create table {snapshots}._current (
    number bigint not null, snapshot_id text not null, is_only boolean primary key default true
    check (is_only)
);
create view {published}._publish as
    select snapshot_id, s.published_at, s.as_of, s.run_id
    from {snapshots}._current inner join {snapshots}._snapshots as s using (snapshot_id);
create view {published}._snapshot as
    select {states} from {snapshots}._states where number = (
        select s.number from {snapshots}._current inner join {snapshots}._snapshots as s
        using (snapshot_id)
    );
"""


@dataclass(frozen=True)
class Current:
    """What consumers see: a snapshot, and the number that made them see it."""

    number: int
    snapshot_id: str


@dataclass(frozen=True)
class Shape:
    """The tables of a published table while its columns stay the same; `since`: the number.

    Of each of its `masked` columns they hold the mask besides; `masks` says made with which key.
    """

    shape: int
    table: str
    columns: tuple[tuple[str, str], ...]
    since: int
    masked: tuple[str, ...] = ()
    masks: str = ""

    @property
    def short(self) -> str:
        """PostgreSQL cuts names at 63 bytes without a word."""
        cut = self.table.encode()[:44].decode(errors="ignore")
        return f"{cut}__{self.shape}"

    @property
    def rows(self) -> str:
        return f"{SCHEMA}.{named(self.short)}"

    @property
    def past(self) -> str:
        return f"{SCHEMA}.{named(self.short + '__past')}"

    @property
    def listed(self) -> str:
        return ", ".join(named(name) for name, _ in self.columns)

    @property
    def stored(self) -> str:
        """With the masks."""
        return ", ".join([self.listed, *(self.mask_of(name) for name in self.masked)])

    def mask_of(self, name: str) -> str:
        return named(f"_mask_{self.masked.index(name)}")


@contextmanager
def alone(settings: Settings, purpose: str) -> Iterator[PostgresConnection]:
    """A session that is the only one to change what is published: its lock ends before it."""
    session = postgres.connect(settings, purpose=f"sluice {purpose}")
    try:
        if not _is_locked_by(session):
            raise LockedError(
                "Another process is publishing to this PostgreSQL.",
                remedy="Let it finish, then try again; `sluice status` names the writer.",
            )
        try:
            ensure(session)
            yield session
        finally:
            postgres.let_go(session, PUBLISH_LOCK)
    finally:
        with suppress(Exception):
            session.close()


def _is_locked_by(session: PostgresConnection) -> bool:
    """A moment of patience: the server lets a lock go a little after its session was killed.

    Counted in tries: while a machine stands still, its server lets nothing go.
    """
    for _ in range(TRIES):
        [got] = session.execute(f"select pg_try_advisory_lock({lock(PUBLISH_LOCK)})").fetchone()
        if got:
            return True
        time.sleep(0.05)
    return False


@contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """As switching.exclusive: one publish, roll back or pin at a time."""
    with alone(settings, "published"):
        yield


@contextmanager
def transaction(session: PostgresConnection, how: str = "") -> Iterator[None]:
    session.execute(f"begin {how}")
    try:
        yield
        session.execute("commit")
    except BaseException:
        with suppress(EngineError):
            session.execute("rollback")
        raise


@contextmanager
def explained(settings: Settings, holds: str) -> Iterator[None]:
    """As switching.explained: what the server or the system says, in plain words; what holds."""
    try:
        yield
    except OSError as error:
        raise PublishError(
            f"The platform log cannot be written, {holds}: {error.strerror or error}",
            remedy="Free space below the landing zone, then run again.",
        ) from error
    except EngineError as error:
        where = postgres.parts(settings)
        server = f"PostgreSQL at {where['host']}:{where['port']}"
        what, remedy = _words(error, server, where["user"], holds)
        raise PublishError(what, remedy=remedy) from error


def _words(error: EngineError, server: str, user: str, holds: str) -> tuple[str, str]:
    if sqlstate(error) == "53100":
        return (
            f"The disk of {server} is full: {holds}.",
            "Free space there, or lower SLUICE_KEEP_SNAPSHOTS, then run again.",
        )
    if lost(error):
        return (
            f"The connection to {server} was lost: {holds}.",
            "Run again when the server is back; `sluice status` says what is served.",
        )
    if sqlstate(error) == "42501":
        return (
            f"The role {user} may not do this, {holds}: {error}",
            "The platform's role owns the schemas snapshots and published, and may create schemas "
            "in the database (`grant create on database … to …`).",
        )
    return (
        f"Publishing failed, {holds}: {error}",
        "Run again; if it repeats, rebuild the table that the message names.",
    )


def ensure(session: PostgresConnection) -> None:
    """The books, where this database has none yet."""
    if session.execute(f"select to_regclass('{SCHEMA}._current')").fetchone()[0] is None:
        with transaction(session):
            session.execute(_BOOKS.format(snapshots=SCHEMA, published=VIEWS, states=STATES))


def current(session: Connection) -> Current | None:
    row = session.execute(f"select number, snapshot_id from {SCHEMA}._current").fetchone()
    return Current(*row) if row else None


def kept(session: Connection) -> dict[str, int]:
    """By snapshot, the newest first, its number."""
    try:
        rows = session.execute(
            f"select snapshot_id, number from {SCHEMA}._snapshots order by snapshot_id desc"
        ).fetchall()
    except NoSuchTableError:
        return {}
    return dict(rows)


def lives_at(session: Connection, number: int) -> dict[str, Shape]:
    """By table, the shape whose rows are shown at a number."""
    rows = session.execute(
        f"select {SHAPE}, from_number"
        f" from {SCHEMA}._shapes inner join {SCHEMA}._lives using (shape)"
        f" where from_number <= {number} and ({number} < to_number or to_number is null)"
    ).fetchall()
    return {row[1]: shape_of(row) for row in rows}


def shape_of(row: Sequence[Any]) -> Shape:
    """From the columns SHAPE, and the number since when."""
    shape, table, names, types, masked, masks, since = row[:7]
    columns = tuple(zip(names, types, strict=True))
    return Shape(shape, table, columns, since, tuple(masked), masks)


def begin_life(session: Connection, shape: Shape) -> None:
    end_life(session, shape.table, shape.since)
    session.execute(f"insert into {SCHEMA}._lives values ({shape.shape}, {shape.since}, null)")


def end_life(session: Connection, table: str, number: int) -> None:
    session.execute(
        f"update {SCHEMA}._lives set to_number = {number} where to_number is null and shape in"
        f" (select shape from {SCHEMA}._shapes where table_name = ?)",
        [table],
    )


def snapshot(session: Connection, snapshot_id: str, number: int) -> Snapshot:
    """What is known of a kept snapshot."""
    published_at, as_of, run_id, size_bytes = session.execute(
        f"select published_at, as_of, run_id, size_bytes from {SCHEMA}._snapshots"
        f" where number = {number}"
    ).fetchone()
    tables = session.execute(
        f"select {STATES} from {SCHEMA}._states where number = {number} order by table_name"
    ).fetchall()
    now = current(session)
    return Snapshot(
        snapshot_id,
        None,
        published_at,
        as_of,
        run_id,
        tuple(PublishedTable(*row) for row in tables),
        now is not None and now.snapshot_id == snapshot_id,
        size_bytes,
    )


def versions_of(session: Connection, number: int) -> dict[str, Version]:
    rows = session.execute(
        f"select table_name, build, touches, content, written_in, masks from {SCHEMA}._versions"
        f" where number = {number}"
    ).fetchall()
    return {name: Version(*rest) for name, *rest in rows}


def enter(
    session: Connection,
    number: int,
    made: Snapshot,
    known: Sequence[tuple[str, Version]],
) -> None:
    """A new snapshot, with the state and the version of each of its tables."""
    session.execute(
        f"insert into {SCHEMA}._snapshots values (?, ?, ?, ?, ?, ?)",
        [number, made.snapshot_id, made.published_at, made.as_of, made.run_id, made.size_bytes],
    )
    _insert(session, "_states", [(number, *astuple(each)) for each in made.tables])
    _insert(session, "_versions", [(number, name, *astuple(each)) for name, each in known])


def point_to(session: Connection, now: Current) -> None:
    """What consumers' `_publish` and `_snapshot` tell from the commit on."""
    session.execute(
        f"insert into {SCHEMA}._current values (?, ?) on conflict (is_only) do update"
        " set number = excluded.number, snapshot_id = excluded.snapshot_id",
        [now.number, now.snapshot_id],
    )


def note(session: Connection, event: Mapping[str, object]) -> None:
    """An access that the platform log has to learn of, in the transaction that it is part of."""
    session.execute(
        f"insert into {SCHEMA}._accesses (event) values (?::jsonb)", [json.dumps(event)]
    )


def _insert(session: Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        places = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in rows)
        session.execute(
            f"insert into {SCHEMA}.{table} values {places}", [each for row in rows for each in row]
        )


def at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
