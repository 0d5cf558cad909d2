"""Which snapshots stay: the newest few, the last of each recent day, and what people pinned.

A publish that wrote nothing but tables about the platform itself pushes no other one out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from warehouse import platform_log, snapshots
from warehouse.clock import wall_clock
from warehouse.crash_points import crash_point
from warehouse.disk import sync
from warehouse.errors import WRONG_USE, PublishError
from warehouse.settings import Settings
from warehouse.switching import exclusive, explained
from warehouse.targets import on_postgres

SUFFIX = ".json"
UNREADABLE = "its pin cannot be read"


@dataclass(frozen=True)
class Pin:
    """Somebody's word that a snapshot is to stay, for ever or until a moment."""

    snapshot_id: str
    reason: str
    by: str
    pinned_at: datetime
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now <= self.until

    def __str__(self) -> str:
        until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until is not None else ""
        return f"pinned by {self.by}{until}: {self.reason}"


def pin(
    settings: Settings, snapshot_id: str, reason: str, by: str, until: datetime | None = None
) -> Pin:
    """Keep a snapshot from being let go. Pinning it again replaces reason and end."""
    if not reason.strip():
        raise PublishError(
            f"Snapshot {snapshot_id} is not pinned without a reason.",
            remedy="Say why: those who wonder what fills the disk will ask.",
        )
    with exclusive(settings):
        snapshots.show(settings, snapshot_id)
        made = Pin(snapshot_id, reason, by, wall_clock(), until)
        with explained(settings, f"{snapshot_id} is not pinned"):
            _write(settings, made)
        with explained(settings, f"{snapshot_id} is pinned, and the log does not say so"):
            crash_point("pin.kept")
            _log(settings, "pinned", made)
    return made


def unpin(settings: Settings, snapshot_id: str) -> Pin:
    """Let the next publish decide again."""
    with exclusive(settings):
        found = pins(settings).get(snapshot_id)
        if found is None:
            listed = ", ".join(sorted(pins(settings))) or "none"
            raise PublishError(
                f"Snapshot {snapshot_id} is not pinned (pinned: {listed}).",
                remedy="`sluice published list` shows which are, and why.",
                exit_code=WRONG_USE,
            )
        with explained(settings, f"{snapshot_id} is not pinned any more"):
            _remove(settings, snapshot_id)
            crash_point("unpin.removed")
            _log(settings, "unpinned", found)
    return found


@on_postgres("warehouse.snapshot_rows.keeping:pins")
def pins(settings: Settings) -> dict[str, Pin]:
    """By snapshot. One that cannot be read holds: letting go is what cannot be taken back."""
    if not _folder(settings).is_dir():
        return {}
    paths = [each for each in _folder(settings).iterdir() if each.suffix == SUFFIX]
    return {path.stem: _read(path) for path in paths if not path.name.startswith(".")}


def kept_because(settings: Settings, now: datetime) -> dict[str, str]:
    """Every snapshot that a publish at this moment would keep, and why."""
    ids = snapshots.ids(settings)
    return reasons(
        ids,
        snapshots.current_id(settings),
        pins(settings),
        now,
        about_platform=_about_platform(settings, ids, settings.keep_snapshots),
        newest=settings.keep_snapshots,
        days=settings.keep_days,
    )


def reasons(
    ids: list[str],
    current: str | None,
    pinned: Mapping[str, Pin],
    now: datetime,
    *,
    about_platform: Container[str] = (),
    newest: int,
    days: int,
) -> dict[str, str]:
    """The rule itself; `ids` come newest first."""
    found: dict[str, str] = {}
    if current is not None:
        found[current] = "current"
    others, count = [each for each in ids if each != current], max(0, newest - 1)
    for snapshot_id in [each for each in others if each not in about_platform][:count]:
        found[snapshot_id] = f"one of the newest {newest} with news of the company"
    for snapshot_id in others[:count]:
        found[snapshot_id] = f"one of the newest {newest}"
    days_seen: set[date] = set()
    for snapshot_id in ids:
        made = made_at(snapshot_id)
        if made is None or made <= now - timedelta(days=days) or made.date() in days_seen:
            continue
        days_seen.add(made.date())
        found.setdefault(snapshot_id, f"the last of {made:%Y-%m-%d}")
    for snapshot_id in ids:
        if snapshot_id in pinned and pinned[snapshot_id].holds(now):
            found[snapshot_id] = str(pinned[snapshot_id])
    return found


def _about_platform(settings: Settings, ids: Sequence[str], newest: int) -> frozenset[str]:
    """Those of which the log says so, down to so many others; what a killed publish could not
    tell is no reason to go.
    """
    found: set[str] = set()
    others = 0
    for event in platform_log.read_newest_first(settings, snapshots.KIND):
        if event["event"] != "published":
            continue
        if not ids or event["snapshot_id"] < ids[-1] or others > newest:
            break
        tables = event.get("tables", [{"written": "nobody knows"}])
        if all(each["written"] == "kept" or each.get("is_about_platform") for each in tables):
            found.add(event["snapshot_id"])
        else:
            others += event["snapshot_id"] in ids
    return frozenset(found)


def made_at(snapshot_id: str) -> datetime | None:
    """A snapshot is named after the moment of its publish."""
    try:
        return datetime.strptime(snapshot_id, "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC)
    except ValueError:
        return None


@on_postgres("warehouse.snapshot_rows.keeping:prune")
def prune(settings: Settings, now: datetime) -> tuple[str, ...]:
    """Let the others go (call it under `exclusive`)."""
    stay = kept_because(settings, now)
    gone = [each for each in snapshots.ids(settings) if each not in stay]
    for snapshot_id in gone:
        snapshots.snapshot_path(settings, snapshot_id).unlink(missing_ok=True)
        snapshots.clear_path(settings, snapshot_id).unlink(missing_ok=True)
        _path(settings, snapshot_id).unlink(missing_ok=True)
    return tuple(gone)


@on_postgres("warehouse.snapshot_rows.keeping:write")
def _write(settings: Settings, made: Pin) -> None:
    _folder(settings).mkdir(parents=True, exist_ok=True)
    aside = _folder(settings) / f".{made.snapshot_id}.{uuid.uuid4().hex[:8]}.tmp"
    aside.write_text(json.dumps(asdict(made), default=datetime.isoformat))
    sync(aside)
    crash_point("pin.written_aside")
    aside.replace(_path(settings, made.snapshot_id))
    sync(_folder(settings))


@on_postgres("warehouse.snapshot_rows.keeping:remove")
def _remove(settings: Settings, snapshot_id: str) -> None:
    _path(settings, snapshot_id).unlink(missing_ok=True)
    sync(_folder(settings))


def _read(path: Path) -> Pin:
    try:
        said = json.loads(path.read_text())
        until = said["until"]
        return Pin(
            path.stem,
            str(said["reason"]),
            str(said["by"]),
            datetime.fromisoformat(said["pinned_at"]),
            datetime.fromisoformat(until) if until else None,
        )
    except (json.JSONDecodeError, KeyError, TypeError, ValueError):
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return Pin(path.stem, f"{UNREADABLE} ({path.name})", "somebody", written)


def _log(settings: Settings, event: str, each: Pin) -> None:
    said = {"reason": each.reason, "by": each.by, "until": each.until}
    platform_log.append(
        settings, snapshots.KIND, [{"event": event, "snapshot_id": each.snapshot_id, **said}]
    )


def _folder(settings: Settings) -> Path:
    return settings.published_dir / "pins"


def _path(settings: Settings, snapshot_id: str) -> Path:
    return _folder(settings) / f"{snapshot_id}{SUFFIX}"
