"""The database that changes are captured from: what it must allow, and its slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from ingestion.connectors.words import PostgresSource
from warehouse.errors import SettingsError, SluiceError

# What every captured row says of itself.
OURS: Final = ("change_id", "op", "changed_at")
_SESSION: Final = (
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c bytea_output=hex "
    "-c extra_float_digits=1 -c statement_timeout=0 -c search_path=pg_catalog"
)


@dataclass(frozen=True)
class Slot:
    """Where the server holds its log for us."""

    confirmed: int
    retained_bytes: int
    is_lost: bool
    is_active: bool


@dataclass(frozen=True)
class Table:
    """A table that is captured."""

    entity: str
    schema: str
    name: str
    oid: int
    key: tuple[str, ...]
    # By column its type.
    columns: Mapping[str, int]

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


def lsn(text: str) -> int:
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(value: int) -> str:
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


@contextmanager
def connected(url: str, source: str, *, replication: bool = False) -> Iterator[Any]:
    more: dict[str, Any] = {"replication": "database"} if replication else {}
    try:
        connection = psycopg.connect(
            url, autocommit=True, application_name="sluice", options=_SESSION, connect_timeout=10,
            **more,
        )  # fmt: skip
    except psycopg.ProgrammingError as error:
        # Its words repeat the address, password and all.
        raise SettingsError(
            f"`url` of the connector of {source} cannot be read as a connection.",
            remedy="Write postgresql://user:password@host:5432/database; "
            "a password with special characters is percent-encoded.",
        ) from error
    except psycopg.Error as error:
        raise SluiceError(
            f"The database of {source} cannot be reached: {_in_short(error)}",
            remedy="Look at `url` of its connector, at the server, and at its pg_hba.conf.",
        ) from error
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def explained(source: str) -> Iterator[None]:
    """What PostgreSQL says, in words of this work."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise SettingsError(
            f"The database of {source} does not let us: {_in_short(error)}.",
            remedy="Its user needs LOGIN, REPLICATION, SELECT on the tables, and the publication "
            "(docs/guides/sources.md has the statements for an administrator).",
        ) from error
    except psycopg.Error as error:
        raise SluiceError(
            f"The database of {source} failed us: {_in_short(error)}",
            remedy="What has landed stays; the next fetch carries on from there.",
        ) from error


def check_server(connection: psycopg.Connection[Any], source: str) -> str:
    """Gives what identifies the server, whatever its address."""
    level = _value(connection, "show wal_level")
    if level != "logical":
        raise SettingsError(
            f"The database of {source} writes its log for replicas only (wal_level = {level}).",
            remedy="Set wal_level = logical on the server and restart it.",
        )
    return str(_value(connection, "select system_identifier from pg_control_system()"))


def read_table(connection: psycopg.Connection[Any], source: str, entity: str, name: str) -> Table:
    """The table, and whether its changes can be told apart: a publication must not break it."""
    schema, _, table = name.rpartition(".")
    found = connection.execute(
        """select c.oid, c.relreplident, n.nspname from pg_class c join pg_namespace n
               on n.oid = c.relnamespace
           where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p')""",
        [schema or "public", table],
    ).fetchone()
    if found is None:
        raise SettingsError(
            f"The database of {source} has no table {name} (for {source}.{entity}).",
            remedy="Correct `table` in the connector of the entity (schema.table).",
        )
    oid, identity, schema = found
    key = connection.execute(
        """select a.attname from pg_index i, unnest(i.indkey) with ordinality as k(attnum, place),
               pg_attribute a
           where i.indrelid = %s and a.attrelid = i.indrelid and a.attnum = k.attnum
               and case when %s = 'i' then i.indisreplident else i.indisprimary end
           order by k.place""",
        [oid, identity],
    ).fetchall()
    if not key and identity != "f":
        raise SettingsError(
            f"The table {name} of {source} has no primary key: published, it would refuse every "
            "update and delete.",
            remedy=f"Give it one, or say ALTER TABLE {name} REPLICA IDENTITY FULL.",
        )
    columns = dict(_columns(connection, oid))
    taken = [column for column in OURS if column in columns]
    if taken:
        raise SettingsError(
            f"The table {name} of {source} has a column {taken[0]}, which is our name for another.",
            remedy="Capture a view of it by `kind: sql`, or rename the column.",
        )
    return Table(entity, schema, table, oid, tuple(r[0] for r in key), columns)


def _columns(connection: psycopg.Connection[Any], oid: int) -> list[tuple[str, int]]:
    return connection.execute(
        """select attname, atttypid from pg_attribute
           where attrelid = %s and attnum > 0 and not attisdropped and attgenerated = ''
           order by attnum""",
        [oid],
    ).fetchall()


def publish(connection: psycopg.Connection[Any], name: str, tables: Mapping[str, Table]) -> None:
    """Let the publication name every table of ours; others that it names are not our business."""
    published = {
        (row[0], row[1])
        for row in connection.execute(
            "select schemaname, tablename from pg_publication_tables where pubname = %s", [name]
        ).fetchall()
    }
    wanted = [each for each in tables.values() if (each.schema, each.name) not in published]
    exists = _value(connection, "select count(*) from pg_publication where pubname = %s", name)
    if not exists:
        listed = sql.SQL(", ").join(each.identifier for each in tables.values())
        connection.execute(
            sql.SQL(
                "create publication {} for table {} with (publish_via_partition_root = true)"
            ).format(sql.Identifier(name), listed)
        )
    elif wanted:
        listed = sql.SQL(", ").join(each.identifier for each in wanted)
        connection.execute(
            sql.SQL("alter publication {} add table {}").format(sql.Identifier(name), listed)
        )


def read_slot(connection: psycopg.Connection[Any], name: str) -> Slot | None:
    row = connection.execute(
        """select confirmed_flush_lsn::text, wal_status, active,
               coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
           from pg_replication_slots where slot_name = %s and database = current_database()""",
        [name],
    ).fetchone()
    if row is None:
        return None
    confirmed, status, active, retained = row
    return Slot(lsn(confirmed) if confirmed else 0, retained, status == "lost", bool(active))


def create_slot(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [name])


def drop_slot(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute("select pg_drop_replication_slot(%s)", [name])


def advance(connection: psycopg.Connection[Any], name: str, to: int) -> None:
    connection.execute("select pg_replication_slot_advance(%s, %s::pg_lsn)", [name, lsn_text(to)])


def flushed(connection: psycopg.Connection[Any]) -> int:
    """How far the log is safe on the server's disk: nothing beyond it is told to anybody."""
    return lsn(str(_value(connection, "select pg_current_wal_flush_lsn()::text")))


def is_bounded(connection: psycopg.Connection[Any]) -> bool:
    """Would the server rather lose the slot than fill its disk?"""
    return str(_value(connection, "show max_slot_wal_keep_size")) != "-1"


def names_of(declared: PostgresSource, source: str) -> tuple[str, str]:
    """Slot and publication."""
    return declared.slot or f"sluice_{source}", declared.publication or f"sluice_{source}"


def _value(connection: psycopg.Connection[Any], query: str, *parameters: Any) -> Any:
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row else None


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
