"""The file of a snapshot while it is made: copied from the one before it, or begun anew."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse import versions
from warehouse.settings import Settings
from warehouse.snapshots import Snapshot, open_published
from warehouse.versions import Version

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


def free_room(connection: duckdb.DuckDBPyConnection, names: Collection[str]) -> None:
    """Drop these tables of the copy first, so that what replaces them is written in their place."""
    for name in names:
        connection.execute(f'drop table if exists {AREA}.published."{name}"')
    connection.execute(f"checkpoint {AREA}")


def quoted(text: str) -> str:
    return text.replace("'", "''")
