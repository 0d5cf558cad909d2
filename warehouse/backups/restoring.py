"""`sluice restore`: the warehouse as it was at a backup, and what has happened since."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from warehouse import platform_log, workshop
from warehouse.backups import files, inventory, server
from warehouse.backups.inventory import LANDING, Backup
from warehouse.backups.place import Place
from warehouse.backups.taking import KIND, explained
from warehouse.errors import SettingsError, SluiceError
from warehouse.platform_log import PLATFORM
from warehouse.settings import Settings


@dataclass(frozen=True)
class Restored:
    """`newer`: by source and entity, landed files that the backup does not know.

    `lost`: loads that the platform log tells of since the backup, more files than are in landing.
    """

    backup: Backup
    seconds: float
    put_back: tuple[str, ...]
    mended: tuple[str, ...]
    newer: dict[str, int]
    lost: dict[str, int]
    last_received: dict[str, str]
    notes: tuple[str, ...]

    @property
    def landing_was_gone(self) -> bool:
        return bool(self.put_back)


def restore(
    settings: Settings,
    origin: str,
    wanted: str | None = None,
    *,
    replace: bool = False,
    waiting: Callable[[str], None] | None = None,
) -> Restored:
    """Put a backup back as the warehouse's one writer. Nothing is built or loaded."""
    place = Place(origin)
    backup = inventory.find(place, wanted)
    if backup.target != settings.target:
        raise SettingsError(
            f"Backup {backup.backup_id} is of the target {backup.target}, this is "
            f"{settings.target}.",
            remedy=f"Set SLUICE_TARGET={backup.target}.",
        )
    if backup.schema_prefix != settings.schema_prefix:
        raise SettingsError(
            f"Backup {backup.backup_id} is of another environment, whose SLUICE_SCHEMA_PREFIX is "
            f"`{backup.schema_prefix}`.",
            remedy="Set it as it was there; nothing was restored.",
        )
    on_server = settings.target == "postgres"
    with workshop.writing(settings, "sluice restore", waiting=waiting):
        started = time.monotonic()
        is_empty = server.is_empty(settings) if on_server else files.is_empty(settings)
        if not is_empty and not replace:
            raise SluiceError(
                f"There is a warehouse already: {workshop.where(settings)}.",
                remedy="`sluice restore --replace` puts the backup in its place; take a backup of "
                "what is there first if it may still be of use.",
            )
        with explained(Place(settings.landing_url), "Nothing of the warehouse was restored"):
            landing = files.put_back_landing(settings, place, backup)
        with explained(Place(settings.own_dir.as_uri()), "The warehouse is not restored"):
            notes = (server.put_back if on_server else files.put_back_warehouse)(
                settings, place, backup
            )
        seconds = time.monotonic() - started
        newer = _by_entity(landing.newer)
        found = Restored(
            backup,
            round(seconds, 3),
            landing.put_back,
            landing.mended,
            newer,
            _lost(settings, backup.made_at, newer),
            _last_received(backup),
            tuple(notes),
        )
        platform_log.append(settings, KIND, [_event(place, found)])
    return found


def _event(place: Place, found: Restored) -> dict[str, object]:
    return {
        "event": "restored",
        "backup_id": found.backup.backup_id,
        "place": place.url,
        "snapshot_id": found.backup.snapshot_id,
        "file_count": len(found.put_back) + len(found.mended),
        "size_bytes": found.backup.size,
        "seconds": found.seconds,
    }


def _by_entity(paths: Iterable[str]) -> dict[str, int]:
    """By source.entity, how many files; the platform's own log is no delivery."""
    counted = Counter(
        ".".join(path.split("/")[:2]) for path in paths if not path.startswith(f"{PLATFORM}/")
    )
    return dict(sorted(counted.items()))


def _lost(settings: Settings, since: datetime, newer: dict[str, int]) -> dict[str, int]:
    """Files that were loaded after the backup and are not in landing, as far as the log knows."""
    loaded: Counter[str] = Counter()
    for event in platform_log.read_newest_first(settings, "loads"):
        if platform_log.logged_at(event) <= since:
            break
        if event.get("outcome") == "loaded" and event.get("source") != PLATFORM:
            loaded[f"{event['source']}.{event['entity']}"] += int(event.get("file_count") or 0)
    return {
        entity: count - newer.get(entity, 0)
        for entity, count in sorted(loaded.items())
        if count > newer.get(entity, 0)
    }


def _last_received(backup: Backup) -> dict[str, str]:
    """By source.entity, the newest file of the backup: from there on a source has to send again."""
    newest: dict[str, str] = {}
    for kept in backup.area(LANDING):
        source, *rest = kept.path.split("/")
        if source != PLATFORM and len(rest) > 1 and not files.is_note(kept.path):
            entity = f"{source}.{rest[0]}"
            newest[entity] = max(newest.get(entity, ""), kept.path)
    return dict(sorted(newest.items()))
