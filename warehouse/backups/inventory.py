"""What a backup holds: every file by size and hash, and of a server its structure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from warehouse.backups.place import Place
from warehouse.backups.structure import Structure
from warehouse.errors import WRONG_USE, SluiceError

LANDING, WORKSHOP, ROWS = "landing", "workshop", "rows"
SNAPSHOTS, CLEAR, PINS = "snapshots", "clear", "pins"


@dataclass(frozen=True)
class Kept:
    """One file (or one table's rows), as parts of the place.

    `stamp` is the file's time of modification, or the store's tag: while path, size and stamp stay,
    the next backup does not read the file again.
    """

    area: str
    path: str
    size: int
    parts: tuple[str, ...]
    stamp: str = ""
    rows: int | None = None


@dataclass(frozen=True)
class Backup:
    """`snapshot_id` is what consumers saw at that moment; `structure` is a server's only."""

    backup_id: str
    made_at: datetime
    target: str
    environment: str
    warehouse: str
    as_of: datetime
    snapshot_id: str | None
    kept: tuple[Kept, ...]
    structure: Structure | None = None
    seconds: float = 0.0
    bytes_added: int = 0
    schema_prefix: str = ""

    def area(self, name: str) -> tuple[Kept, ...]:
        return tuple(each for each in self.kept if each.area == name)

    @property
    def size(self) -> int:
        return sum(each.size for each in self.kept)

    @property
    def parts(self) -> set[str]:
        return {part for each in self.kept for part in each.parts}


def write(place: Place, backup: Backup) -> None:
    place.write_inventory(backup.backup_id, json.dumps(asdict(backup), default=_plain))


def read(place: Place, backup_id: str) -> Backup:
    said: dict[str, Any] = json.loads(place.read_inventory(backup_id))
    structure = said["structure"]
    return Backup(
        **{
            **said,
            "made_at": datetime.fromisoformat(said["made_at"]),
            "as_of": datetime.fromisoformat(said["as_of"]),
            "kept": tuple(Kept(**{**each, "parts": tuple(each["parts"])}) for each in said["kept"]),
            "structure": Structure.of(structure) if structure is not None else None,
        }
    )


def find(place: Place, wanted: str | None) -> Backup:
    """The backup of this id, or the newest one."""
    known = place.inventories()
    if not known:
        raise SluiceError(
            f"There is no backup in {place.url}.",
            remedy="Name the right place with --from or SLUICE_BACKUPS.",
        )
    backup_id = known[0] if wanted is None else wanted
    if backup_id not in known:
        raise SluiceError(
            f"There is no backup {backup_id} in {place.url} (there are: {', '.join(known)}).",
            remedy="`sluice backup list` shows them.",
            exit_code=WRONG_USE,
        )
    return read(place, backup_id)


def whole(place: Place) -> Iterator[Backup | SluiceError]:
    """Every backup, the newest first; in place of one whose inventory is damaged, the reason."""
    for backup_id in place.inventories():
        try:
            yield read(place, backup_id)
        except SluiceError as error:
            yield error


def problems(place: Place, backups: list[Backup]) -> dict[str, list[str]]:
    """Read every part once. By backup, what of it is damaged."""
    bad: dict[str, str] = {}
    for name in sorted({part for backup in backups for part in backup.parts}):
        try:
            place.part(name)
        except SluiceError as error:
            bad[name] = error.what
    return {
        backup.backup_id: [
            f"{each.area}/{each.path}: {bad[part]}"
            for each in backup.kept
            for part in each.parts
            if part in bad
        ]
        for backup in backups
    }


def prune(place: Place, keep: int) -> list[str]:
    """Let go of all but the newest `keep` backups, and of what only they needed."""
    gone = place.inventories()[max(1, keep) :]
    for backup_id in gone:
        place.remove(backup_id)
    rest = list(whole(place))
    # While one cannot be read nobody knows what it needs: then no part goes.
    if gone and all(isinstance(each, Backup) for each in rest):
        place.keep_only({part for each in rest if isinstance(each, Backup) for part in each.parts})
    return gone


def finished(backup: Backup, seconds: float, bytes_added: int) -> Backup:
    return replace(backup, seconds=round(seconds, 3), bytes_added=bytes_added)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} does not belong into an inventory")
