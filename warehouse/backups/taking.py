"""`sluice backup`: everything that cannot be had again, as it is at one moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from warehouse import platform_log, snapshots, workshop
from warehouse.backups import files, inventory, server
from warehouse.backups.inventory import Backup, Kept
from warehouse.backups.place import Place
from warehouse.clock import as_of, wall_clock
from warehouse.connection import ENGINE_ERRORS
from warehouse.crash_points import crash_point
from warehouse.engine_words import engine_message
from warehouse.errors import SluiceError
from warehouse.settings import Settings
from warehouse.switching import FULL, SAYS_FULL

KIND = "backups"


@dataclass(frozen=True)
class Taken:
    backup: Backup
    removed: tuple[str, ...]


def take(
    settings: Settings,
    to: str,
    *,
    keep: int | None = None,
    waiting: Callable[[str], None] | None = None,
) -> Taken:
    """Make a backup as the warehouse's one writer: a run waits for it, and it waits for a run."""
    place = Place(to)
    with workshop.writing(settings, "sluice backup", waiting=waiting), place.alone():
        started = time.monotonic()
        with explained(place, "No backup was made"):
            place.remove_leftovers()
            crash_point("backup.begun")
            made = _made(settings, place)
            made = inventory.finished(made, time.monotonic() - started, place.bytes_added)
            inventory.write(place, made)
        with explained(place, f"Backup {made.backup_id} is made, what follows it is not done"):
            crash_point("backup.inventoried")
            removed = inventory.prune(place, keep) if keep is not None else []
    platform_log.append(settings, KIND, [_event(place, made, removed)])
    return Taken(made, tuple(removed))


def _made(settings: Settings, place: Place) -> Backup:
    now = wall_clock()
    known = _known(place)
    # First what is only added to: the ledger must not know of a file that is not kept.
    kept: list[Kept] = list(files.take_landing(settings, place, known))
    crash_point("backup.landing_kept")
    structure = None
    if settings.target == "postgres":
        structure, rows = server.take(settings, place)
        kept += rows
    else:
        kept += files.take_workshop(settings, place, known)
        kept += files.take_snapshots(settings, place, known)
    return Backup(
        backup_id=f"{now:%Y%m%d-%H%M%S-%f}",
        made_at=now,
        target=settings.target,
        environment=settings.environment,
        warehouse=workshop.where(settings),
        as_of=as_of(settings),
        snapshot_id=snapshots.current_id(settings),
        kept=tuple(kept),
        structure=structure,
        schema_prefix=settings.schema_prefix,
    )


def _known(place: Place) -> dict[tuple[str, str], Kept]:
    """What the newest readable backup knows of each file."""
    for each in inventory.whole(place):
        if isinstance(each, Backup):
            return {(kept.area, kept.path): kept for kept in each.kept}
    return {}


def _event(place: Place, made: Backup, removed: list[str]) -> dict[str, object]:
    return {
        "event": "made",
        "backup_id": made.backup_id,
        "place": place.url,
        "snapshot_id": made.snapshot_id,
        "file_count": len(made.kept),
        "size_bytes": made.size,
        "bytes_added": made.bytes_added,
        "seconds": made.seconds,
        "removed": removed,
    }


@contextmanager
def explained(place: Place, holds: str) -> Iterator[None]:
    """A full disk, a place that does not answer, or what the engine says, in plain words."""
    try:
        yield
    except (OSError, *ENGINE_ERRORS) as error:
        full = isinstance(error, OSError) and error.errno in FULL
        full = full or any(sign in str(error).lower() for sign in SAYS_FULL)
        what = "the disk is full" if full else engine_message(str(error))
        raise SluiceError(
            f"{holds}: {what} ({place.url}).",
            remedy="Free space there, or keep fewer backups (--keep)."
            if full
            else "Is the place there, and may Sluice write to it?",
        ) from error
