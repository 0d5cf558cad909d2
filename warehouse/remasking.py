"""Snapshots that were made before a column was called personal, or with another key.

Nothing of a snapshot changes, but what law or a lost key asks for: where a kept one shows more
than it may, its file is written anew, masked, and takes the place of the old one. Who has the old
file open keeps it until closing it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb

from warehouse import clear_tables, masks, snapshot_tables, snapshots, versions
from warehouse.clear_tables import ClearTable
from warehouse.connection import literal
from warehouse.disk import sync
from warehouse.settings import Settings
from warehouse.snapshot_file import AREA, PREVIOUS, known_versions
from warehouse.snapshots import PublicColumn
from warehouse.versions import Change, Relation, Version

# Says which snapshots have been looked through, for which masks.
MARK: Final = ".masks"


def remask_kept(settings: Settings, masked: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Mask in every kept snapshot what is masked now; by table, the personal columns."""
    if not any(masked.values()):
        return ()
    key = masks.mask_key(settings)
    wanted = {name: versions.signature(columns, key) for name, columns in masked.items()}
    state = hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest()
    mark = settings.published_dir / MARK
    seen = _seen(mark, state)
    kept = snapshots.ids(settings)
    done = [each for each in kept if each not in seen and _remask(settings, each, masked, wanted)]
    aside = settings.published_dir / f"{MARK}.tmp"
    aside.write_text(json.dumps({"state": state, "kept": kept}))
    aside.replace(mark)
    return tuple(done)


def _seen(mark: Path, state: str) -> frozenset[str]:
    """The snapshots that have been looked through for these masks."""
    try:
        said = json.loads(mark.read_text())
    except (OSError, ValueError):
        return frozenset()
    return frozenset(said["kept"]) if said.get("state") == state else frozenset()


def _remask(
    settings: Settings,
    snapshot_id: str,
    masked: Mapping[str, Sequence[str]],
    wanted: Mapping[str, str],
) -> bool:
    path = snapshots.snapshot_path(settings, snapshot_id)
    with duckdb.connect(":memory:") as connection:
        connection.execute("set TimeZone = 'UTC'")
        masks.give_key(connection, settings)
        connection.execute(f"attach {literal(str(path))} as {PREVIOUS} (read_only)")
        known = known_versions(connection, PREVIOUS)
        tables = _tables(connection)
        other = {
            name
            for name in tables
            if wanted.get(name) and known.get(name, Version()).masks != wanted[name]
        }
        if not other:
            return False
        before = clear_tables.before(connection, settings, snapshot_id)
        clear = {
            name: before.get(name) or tables[name]
            for name in tables
            if wanted.get(name) and (name in before or not known.get(name, Version()).masks)
        }
        aside = snapshots.folder(settings) / f".{snapshot_id}.tmp"
        clear_aside = clear_tables.aside_of(settings, snapshot_id)
        copies = [
            ClearTable(name, Change("whole", Version()), each, True, "")
            for name, each in clear.items()
        ]
        clear_tables.write(connection, settings, None, clear_aside, copies)
        connection.execute(f"attach {literal(str(aside))} as {AREA}")
        now = {name: clear[name].with_masks(masked[name]) for name in other if name in clear}
        _write(connection, {**tables, **now}, {name: wanted[name] for name in now})
        connection.execute(f"detach {AREA}")
    clear_tables.keep(settings, clear_aside, snapshot_id)
    sync(aside)
    aside.replace(path)
    sync(snapshots.folder(settings))
    return True


def _write(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, Relation],
    signatures: Mapping[str, str],
) -> None:
    """Everything of the old file into a new one: no block of the old one comes along."""
    whole = Change("whole", Version())
    connection.execute("begin transaction")
    connection.execute(f"create schema {AREA}.published")
    for name, each in tables.items():
        snapshot_tables.write(connection, name, each, whole, "")
    if "_versions" in tables:
        if ("masks", versions.MASK) not in tables["_versions"].columns:
            connection.execute(f"alter table {AREA}.{versions.TABLE} add column masks varchar")
        for name, signature in signatures.items():
            connection.execute(
                f"update {AREA}.{versions.TABLE} set masks = ? where table_name = ?",
                [signature, name],
            )
    snapshot_tables.comment(connection, _comments(connection))
    connection.execute("commit")
    connection.execute(f"checkpoint {AREA}")


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, Relation]:
    found = versions.relations(connection, PREVIOUS)
    return {key.partition(".")[2]: each for key, each in found.items()}


def _comments(
    connection: duckdb.DuckDBPyConnection,
) -> list[tuple[str, str, tuple[PublicColumn, ...]]]:
    columns = connection.execute(
        "select table_name, list((column_name, comment) order by column_index)"
        " from duckdb_columns() where database_name = ? and comment is not null group by 1",
        [PREVIOUS],
    ).fetchall()
    of_columns = {name: tuple(PublicColumn(*each) for each in found) for name, found in columns}
    tables = connection.execute(
        "select table_name, coalesce(comment, '') from duckdb_tables() where database_name = ?",
        [PREVIOUS],
    ).fetchall()
    return [(name, said, of_columns.get(name, ())) for name, said in tables]
