"""The file of a snapshot while it is made: copied from the one before it, or begun anew."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse import versions
from warehouse.connection import Connection, literal
from warehouse.settings import Settings
from warehouse.snapshots import Snapshot, current_id, foreign, read, snapshot_path
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
    catalog: str
    """Where its tables are found: in the new file itself, if that is a copy."""

    @property
    def is_copied(self) -> bool:
        return self.catalog == AREA


def begin(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    aside: Path,
    masks: Mapping[str, str],
) -> Base | None:
    """Attach the new file as AREA: a copy of what consumers see now, if copying is worth it.

    Where a table is masked otherwise than before (`masks`), nothing is copied: blocks that are
    free again in a copy still hold what they held.
    """
    snapshot_id = current_id(settings)
    new = f"attach {literal(str(aside))} as {AREA}"
    if snapshot_id is None:
        connection.execute(new)
        return None
    previous = snapshot_path(settings, snapshot_id)
    catalog = AREA
    copy(previous, aside)
    connection.execute(new)
    if not _is_worth_copying(connection) or _differ(known_versions(connection, AREA), masks):
        connection.execute(f"detach {AREA}")
        aside.unlink()
        connection.execute(new)
        connection.execute(f"attach {literal(str(previous))} as {PREVIOUS} (read_only)")
        catalog = PREVIOUS
    try:
        snapshot = read(settings, connection, snapshot_id, catalog)
        return Base(snapshot, known_versions(connection, catalog), catalog)
    except duckdb.CatalogException as error:
        raise foreign(previous) from error


def _is_worth_copying(connection: duckdb.DuckDBPyConnection) -> bool:
    """Not if more than half of the file is free, nor once if an earlier Sluice made it."""
    return is_mostly_used(connection, AREA) and _tells_versions(connection, AREA)


def is_mostly_used(connection: duckdb.DuckDBPyConnection, catalog: str) -> bool:
    [[total, free]] = connection.execute(
        "select total_blocks, free_blocks from pragma_database_size() where database_name = ?",
        [catalog],
    ).fetchall()
    return bool(free * 2 <= total)


def _differ(known: Mapping[str, Version], masks: Mapping[str, str]) -> bool:
    return any(version.masks != masks.get(name, "") for name, version in known.items())


def _tells_versions(connection: Connection, catalog: str) -> bool:
    found = connection.execute(
        "select 1 from duckdb_tables() where database_name = ? and table_name = '_versions'",
        [catalog],
    ).fetchall()
    return bool(found)


def known_versions(connection: Connection, catalog: str) -> dict[str, Version]:
    if not _tells_versions(connection, catalog):
        return {}
    tells_masks = connection.execute(
        "select 1 from duckdb_columns() where database_name = ? and table_name = '_versions'"
        " and column_name = 'masks'",
        [catalog],
    ).fetchall()
    rows = connection.execute(
        "select table_name, build, touches, content, written_in"
        f"{', masks' if tells_masks else ''} from {catalog}.{versions.TABLE}"
    ).fetchall()
    return {name: Version(*rest) for name, *rest in rows}


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
