"""A server's warehouse: read in one snapshot of the database, put back in one transaction.

No other program is needed (`pg_dump` has to be of the server's version, and may not be there):
the catalogs write the structure, COPY the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from warehouse import postgres
from warehouse.backups import server_catalogs, structure
from warehouse.backups.inventory import ROWS, Backup, Kept
from warehouse.backups.place import PART_BYTES, Place
from warehouse.backups.structure import Structure, Table
from warehouse.connection import EngineError, named
from warehouse.copying import columns_of, told
from warehouse.crash_points import crash_point
from warehouse.environments import schemas
from warehouse.errors import LockedError, SluiceError
from warehouse.postgres import PostgresConnection
from warehouse.settings import Settings

# So long may a reader hold a table that is to be replaced.
_WAIT = "10s"


@contextmanager
def _session(settings: Settings, purpose: str, begin: str) -> Iterator[PostgresConnection]:
    """In one transaction, in which everything is written the same way on every server."""
    with closing(postgres.connect(settings, purpose=purpose)) as session:
        session.execute(begin)
        for statement in server_catalogs.PLAIN:
            session.execute(statement)
        yield session


def take(settings: Settings, place: Place) -> tuple[Structure, tuple[Kept, ...]]:
    """Every schema of the platform, as it is at one moment."""
    begin = "begin transaction isolation level repeatable read, read only"
    with _session(settings, "sluice backup", begin) as session:
        found = structure.read(session)
        return found, tuple(_kept(session, place, each) for each in found.tables)


def _kept(session: PostgresConnection, place: Place, table: Table) -> Kept:
    parts: list[str] = []
    size, rows, waiting = 0, 0, bytearray()
    with told(), session.raw.cursor() as cursor:
        with cursor.copy(f"copy {_columns(table)} to stdout".encode()) as copy:
            for block in copy:
                waiting += block
                if len(waiting) >= PART_BYTES:
                    parts.append(place.add(bytes(waiting)))
                    size += len(waiting)
                    waiting.clear()
        rows = cursor.rowcount
    if waiting:
        parts.append(place.add(bytes(waiting)))
    return Kept(ROWS, table.full_name, size + len(waiting), tuple(parts), rows=rows)


def is_empty(settings: Settings) -> bool:
    with closing(postgres.connect(settings, read_only=True)) as session:
        return not schemas(session)


def put_back(settings: Settings, place: Place, backup: Backup) -> list[str]:
    """In place of whatever the platform's schemas hold now; what could not be done as it was.

    Until the commit everybody else sees the old state; from then on the new one.
    """
    kept = backup.structure
    assert kept is not None
    tables = {each.full_name: each for each in kept.tables}
    # Readers wait while tables are being replaced: nothing damaged may be found as late as then.
    for each in backup.area(ROWS):
        for part in each.parts:
            place.part(part)
    with _session(settings, "sluice restore", "begin") as session:
        _drop(session)
        crash_point("server.dropped")
        _settle(session, kept.made)
        for each in backup.area(ROWS):
            _fill(session, place, tables[each.path], each)
            crash_point("server.table_filled")
        for statement in kept.finished:
            session.execute(statement)
        notes = _give(session, kept.rights)
        _compare(session, kept)
        crash_point("server.uncommitted")
        session.execute("commit")
        crash_point("server.committed")
        for table in kept.tables:
            session.execute(f"analyze {table.full_name}")
    return notes


def _drop(session: PostgresConnection) -> None:
    ours = schemas(session)
    others = structure.dependents(session, ours)
    if others:
        raise SluiceError(
            f"Nothing was restored: {', '.join(others[:5])} would be lost, for it reads tables "
            "that would be replaced.",
            remedy="Keep its definition, drop it, restore, make it again.",
        )
    session.execute(f"set local lock_timeout = '{_WAIT}'")
    try:
        for schema in ours:
            session.execute(f"drop schema {named(schema)} cascade")
    except EngineError as error:
        if getattr(error.__cause__, "sqlstate", "") not in ("55P03", "40P01"):
            raise
        raise LockedError(
            "Nothing was restored: somebody reads tables that would be replaced.",
            remedy="End those sessions (`select pid, usename, query from pg_stat_activity`), then "
            "restore again.",
        ) from error
    session.execute("set local lock_timeout = 0")
    session.execute("set local check_function_bodies = off")


def _settle(session: PostgresConnection, statements: Sequence[str]) -> None:
    """Make all of these, whichever of them needs which."""
    left: Sequence[str] = statements
    while left:
        failed: list[tuple[str, EngineError]] = []
        for statement in left:
            if (error := _tried(session, statement)) is not None:
                failed.append((statement, error))
        if len(failed) == len(left):
            [(statement, why), *_] = failed
            raise SluiceError(
                f"Nothing was restored: the server does not take `{statement[:200]}`: {why}",
                remedy="Is it of another version than the one that was backed up, or without an "
                "extension that it had?",
            ) from why
        left = [statement for statement, _ in failed]


def _fill(session: PostgresConnection, place: Place, table: Table, kept: Kept) -> None:
    with told(), session.raw.cursor() as cursor:
        with cursor.copy(f"copy {_columns(table)} from stdin (freeze)".encode()) as copy:
            for part in kept.parts:
                copy.write(place.part(part))
        if cursor.rowcount != kept.rows:
            raise SluiceError(
                f"Nothing was restored: {kept.path} took {cursor.rowcount} rows of {kept.rows}.",
                remedy="Restore an earlier backup: `sluice backup list`.",
            )


def _give(session: PostgresConnection, rights: Sequence[str]) -> list[str]:
    """Rights and owners, as far as this server has the roles; the others are told."""
    notes: list[str] = []
    for right in rights:
        if (error := _tried(session, right)) is not None:
            notes.append(f"not given: {right} ({error})")
    return notes


def _tried(session: PostgresConnection, statement: str) -> EngineError | None:
    """Why it failed, if it did; the transaction goes on either way."""
    session.execute("savepoint one")
    try:
        session.execute(statement)
    except EngineError as error:
        session.execute("rollback to savepoint one")
        return error
    session.execute("release savepoint one")
    return None


def _compare(session: PostgresConnection, kept: Structure) -> None:
    """What was made, held against what was to be made."""
    now = structure.read(session)
    if (now.schemas, now.tables, len(now.made), len(now.finished)) != (
        kept.schemas, kept.tables, len(kept.made), len(kept.finished),
    ):  # fmt: skip
        made = {*now.made, *now.finished}
        missing = [each for each in kept.made + kept.finished if each not in made]
        raise SluiceError(
            f"Nothing was restored: the structure is not the one that was backed up. {missing[:1]}",
            remedy="This is a fault of Sluice: please report it, with the server's version.",
        )


def _columns(table: Table) -> str:
    return columns_of(table.full_name, table.columns)
