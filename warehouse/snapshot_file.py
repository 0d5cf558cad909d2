"""The file of a snapshot while it is made: copied from the one before it, or begun anew."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from warehouse import versions
from warehouse.crash_points import crash_point
from warehouse.settings import Settings
from warehouse.snapshots import (
    STATES_TABLE,
    PublicColumn,
    PublishedTable,
    Snapshot,
    open_published,
)
from warehouse.versions import Change, Version

AREA = "publishing"
PREVIOUS = "previous"
# Two file systems that cannot copy between each other, or one that cannot at all.
NOT_POSSIBLE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Base:
    """The snapshot that the next one starts from, and what it knows of its tables."""

    snapshot: Snapshot
    versions: dict[str, Version]
    is_loose: bool
    """More than half of the file is free: copying it would keep the waste."""


def base(settings: Settings, snapshot: Snapshot | None) -> Base | None:
    if snapshot is None:
        return None
    connection = open_published(settings, snapshot.snapshot_id)
    try:
        known = connection.execute(
            "select 1 from duckdb_tables() where table_name = '_versions'"
        ).fetchall()
        rows = (
            connection.execute(
                f"select table_name, build, touches, content, written_in from {versions.TABLE}"
            ).fetchall()
            if known
            else []
        )
        [[total, free]] = connection.execute(
            "select total_blocks, free_blocks from pragma_database_size()"
            " where database_name = 'snapshot'"
        ).fetchall()
    finally:
        connection.close()
    found = {name: Version(*rest) for name, *rest in rows}
    # A file of an earlier Sluice tells no versions: it is written anew, once.
    return Base(snapshot, found, not known or free * 2 > total)


def attach(connection: duckdb.DuckDBPyConnection, aside: Path, base: Base | None) -> str:
    """Attach the new file as AREA; gives the catalog in which the previous tables are found."""
    if base is None or base.is_loose:
        connection.execute(f"attach '{quoted(str(aside))}' as {AREA}")
        if base is None:
            return ""
        old = quoted(str(base.snapshot.path.resolve()))
        connection.execute(f"attach '{old}' as {PREVIOUS} (read_only)")
        return PREVIOUS
    copy(base.snapshot.path.resolve(), aside)
    crash_point("publish.file_made")
    connection.execute(f"attach '{quoted(str(aside))}' as {AREA}")
    return AREA


def copy(source: Path, target: Path) -> None:
    """Copy in the kernel; where the file system can share blocks, no byte is written."""
    if not hasattr(os, "copy_file_range"):
        shutil.copyfile(source, target)
        return
    with source.open("rb") as reader, target.open("wb") as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0:
                copied = os.copy_file_range(reader.fileno(), writer.fileno(), left)
                if copied == 0:
                    break
                left -= copied
        except OSError as error:
            if error.errno not in NOT_POSSIBLE:
                raise
    if left > 0:
        shutil.copyfile(source, target)


def write(
    connection: duckdb.DuckDBPyConnection, name: str, relation: str, change: Change, partition: str
) -> Version:
    """Replace what changed of a table that the file holds already, or write it whole."""
    target = relation_of(AREA, name)
    if change.action == "days":
        days = ", ".join(f"date '{day}'" for day in change.days)
        among = f'"{partition}" in ({days})'
        connection.execute(f"delete from {target} where {among}")
        connection.execute(
            f"insert into {target} select * from {relation} where {among} order by rowid"
        )
        if count(connection, target) == count(connection, relation):
            return change.version
        # Whatever made them differ: the rows of the workshop are the ones that passed.
    connection.execute(f"drop table if exists {target}")
    connection.execute(f"create table {target} as select * from {relation}")
    return change.version


def describe(
    connection: duckdb.DuckDBPyConnection,
    snapshot_id: str,
    published_at: datetime,
    as_of: datetime,
    run_id: str,
    tables: Sequence[PublishedTable],
    known: Mapping[str, Version],
) -> None:
    """The snapshot's own tables: which one it is, each table's state, each table's version."""
    connection.execute(
        f"create or replace table {AREA}.published._publish as select ?::varchar as snapshot_id,"
        " ?::timestamptz as published_at, ?::timestamptz as as_of, ?::varchar as run_id",
        [snapshot_id, published_at, as_of, run_id],
    )
    connection.execute(
        f"create or replace table {AREA}.{STATES_TABLE} (table_name varchar primary key,"
        " state varchar not null, shows_snapshot varchar, shows_since timestamptz,"
        " stale_since timestamptz, reason varchar, row_count bigint, owner varchar, tier integer,"
        " classification varchar, description varchar)"
    )
    if tables:
        connection.executemany(
            f"insert into {AREA}.{STATES_TABLE} values (?,?,?,?,?,?,?,?,?,?,?)",
            [astuple(each) for each in tables],
        )
    connection.execute(
        f"create or replace table {AREA}.{versions.TABLE} (table_name varchar, build varchar,"
        " touches bigint, content varchar, written_in varchar)"
    )
    if known:
        connection.executemany(
            f"insert into {AREA}.{versions.TABLE} values (?,?,?,?,?)",
            [(name, *astuple(version)) for name, version in sorted(known.items())],
        )


def comment(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    description: str,
    columns: Sequence[PublicColumn],
) -> None:
    """Say what table and columns are, where the file does not say so already."""
    [[said]] = connection.execute(
        "select comment from duckdb_tables() where database_name = ? and table_name = ?",
        [AREA, name],
    ).fetchall()
    if (said or "") != description:
        connection.execute(f"comment on table {relation_of(AREA, name)} is '{quoted(description)}'")
    present = dict(
        connection.execute(
            "select column_name, comment from duckdb_columns()"
            " where database_name = ? and table_name = ?",
            [AREA, name],
        ).fetchall()
    )
    for column in columns:
        if column.name in present and (present[column.name] or "") != column.description:
            connection.execute(
                f'comment on column {relation_of(AREA, name)}."{column.name}"'
                f" is '{quoted(column.description)}'"
            )


def drop_all_but(connection: duckdb.DuckDBPyConnection, names: Collection[str]) -> None:
    """What is not public any more is not in the next snapshot."""
    rows = connection.execute(
        "select table_name from duckdb_tables() where database_name = ?", [AREA]
    ).fetchall()
    for (name,) in rows:
        if not name.startswith("_") and name not in names:
            connection.execute(f"drop table {relation_of(AREA, name)}")


def relation_of(catalog: str, name: str) -> str:
    return f'{catalog}.published."{name}"'


def count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    [[found]] = connection.execute(f"select count(*) from {relation}").fetchall()
    return int(found)


def quoted(text: str) -> str:
    return text.replace("'", "''")
