"""Files into parts and back: what landed, and on DuckDB the workshop and the snapshots."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import fsspec

from warehouse import clear_tables, retention, snapshots, workshop
from warehouse.backups.inventory import (
    CLEAR,
    LANDING,
    PINS,
    SNAPSHOTS,
    WORKSHOP,
    Backup,
    Kept,
)
from warehouse.backups.place import PART_BYTES, Place
from warehouse.crash_points import crash_point
from warehouse.disk import sync
from warehouse.errors import PublishError, SluiceError
from warehouse.settings import Settings
from warehouse.switching import exclusive, point_to

Known = Mapping[tuple[str, str], Kept]


@dataclass(frozen=True)
class Landed:
    """One file of the landing zone, by its path below the root."""

    path: str
    size: int
    stamp: str


@dataclass(frozen=True)
class LandingAfter:
    """What became of landing: files that were gone, files that differed, files that are newer."""

    put_back: tuple[str, ...]
    mended: tuple[str, ...]
    newer: tuple[str, ...]


class Landing:
    """All files of the landing zone, with those that only its writers know (a leading dot)."""

    def __init__(self, settings: Settings) -> None:
        self._filesystem: Any
        self._filesystem, root = fsspec.core.url_to_fs(settings.landing_url)
        self.root = str(root)
        self._local = "file" in self._filesystem.protocol

    def files(self) -> Iterator[Landed]:
        try:
            found: dict[str, Any] = self._filesystem.find(self.root, detail=True)
        except FileNotFoundError:
            return
        for where, info in found.items():
            path = where[len(self.root) :].lstrip("/")
            if not path.endswith(".tmp"):
                yield Landed(path, int(info["size"]), self._stamp(where, info))

    def read(self, path: str) -> Iterator[bytes]:
        with self._filesystem.open(f"{self.root}/{path}", "rb") as stream:
            while block := stream.read(PART_BYTES):
                yield block

    def write(self, kept: Kept, place: Place) -> None:
        """Aside, then renamed, as it was received."""
        folder, _, name = f"{self.root}/{kept.path}".rpartition("/")
        aside = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}.tmp"
        self._filesystem.makedirs(folder, exist_ok=True)
        with self._filesystem.open(aside, "wb") as stream:
            for part in kept.parts:
                stream.write(place.part(part))
        if self._local and kept.stamp.isdigit():
            # So that the ledger knows it for the file that it loaded.
            os.utime(aside, ns=(int(kept.stamp), int(kept.stamp)))
        self._filesystem.mv(aside, f"{folder}/{name}")

    def move_aside(self, path: str, name: str) -> None:
        folder, _, last = f"{self.root}/{path}".rpartition("/")
        self._filesystem.mv(f"{folder}/{last}", f"{folder}/.{last}.{name}")

    def holds(self, file: Landed, kept: Kept, place: Place) -> bool:
        """Is it still what was received? Notes of writers change, and the newer one is right."""
        if is_note(kept.path) or (file.size, file.stamp) == (kept.size, kept.stamp):
            return True
        return file.size == kept.size and all(
            block == place.part(part)
            for part, block in zip(kept.parts, self.read(kept.path), strict=True)
        )

    def _stamp(self, where: str, info: Mapping[str, Any]) -> str:
        if self._local:
            return str(Path(where).stat().st_mtime_ns)
        return str(next((info[k] for k in ("ETag", "etag", "mtime", "created") if k in info), ""))


def take_landing(settings: Settings, place: Place, known: Known) -> Iterator[Kept]:
    """Connectors may land meanwhile: first their cursors, then what these say is there, in the
    order in which files move. So no cursor is kept that is ahead of what is kept.
    """
    landing = Landing(settings)
    for which in (_is_cursor, _is_aside, _is_landed):
        for file in landing.files():
            if which(file.path):
                with suppress(FileNotFoundError):
                    yield _landed(landing, place, file, known.get((LANDING, file.path)))


def _landed(landing: Landing, place: Place, file: Landed, before: Kept | None) -> Kept:
    if before and file.stamp and (before.size, before.stamp) == (file.size, file.stamp):
        return before
    parts, size = [], 0
    for block in landing.read(file.path):
        parts.append(place.add(block))
        size += len(block)
    return Kept(LANDING, file.path, size, tuple(parts), file.stamp)


def is_note(path: str) -> bool:
    return "/" not in path or any(part.startswith(".") for part in path.split("/"))


def _is_cursor(path: str) -> bool:
    return "/.connector/" in path


def _is_aside(path: str) -> bool:
    return "/.aside/" in path


def _is_landed(path: str) -> bool:
    return not _is_cursor(path) and not _is_aside(path)


def take_workshop(settings: Settings, place: Place, known: Known) -> Iterator[Kept]:
    """The workshop's file with everything in it (call it as the one writer)."""
    path = settings.workshop_path
    if not path.exists():
        return
    with closing(workshop.connect_file(settings)) as connection:
        connection.execute("checkpoint")
    yield _taken(place, WORKSHOP, path, known)


def take_snapshots(settings: Settings, place: Place, known: Known) -> Iterator[Kept]:
    """Published snapshots and pins: files that never change."""
    for area, folder, suffix in (
        (SNAPSHOTS, snapshots.folder(settings), snapshots.SUFFIX),
        (CLEAR, snapshots.clear_folder(settings), snapshots.SUFFIX),
        (PINS, _pins(settings), retention.SUFFIX),
    ):
        for path in sorted(folder.glob(f"[!.]*{suffix}")):
            yield _taken(place, area, path, known)


def _pins(settings: Settings) -> Path:
    return settings.published_dir / "pins"


def _taken(place: Place, area: str, path: Path, known: Known) -> Kept:
    info = path.stat()
    stamp, before = str(info.st_mtime_ns), known.get((area, path.name))
    if before and (before.size, before.stamp) == (info.st_size, stamp):
        return before
    with path.open("rb") as file:
        parts = [place.add(block) for block in iter(lambda: file.read(PART_BYTES), b"")]
    return Kept(area, path.name, info.st_size, tuple(parts), stamp)


def put_back_landing(settings: Settings, place: Place, backup: Backup) -> LandingAfter:
    """What is missing comes back, what is damaged is mended, what is newer stays."""
    landing = Landing(settings)
    there = {each.path: each for each in landing.files()}
    put_back, mended = [], []
    for kept in backup.area(LANDING):
        file = there.pop(kept.path, None)
        if file is None:
            landing.write(kept, place)
            crash_point("restore.landed")
            put_back.append(kept.path)
        elif not landing.holds(file, kept, place):
            landing.move_aside(kept.path, f"before-{backup.backup_id}")
            landing.write(kept, place)
            mended.append(kept.path)
    newer = sorted(path for path in there if not is_note(path))
    return LandingAfter(tuple(put_back), tuple(mended), tuple(newer))


def is_empty(settings: Settings) -> bool:
    return not settings.workshop_path.exists()


def put_back_warehouse(settings: Settings, place: Place, backup: Backup) -> list[str]:
    """Snapshots and pins that are missing, then the workshop in one step, then the pointer."""
    notes: list[str] = []
    with exclusive(settings):
        # As a publish makes them: the clear copy is there before its snapshot.
        for kept in backup.area(CLEAR):
            path = snapshots.clear_folder(settings) / kept.path
            if not path.exists() or path.stat().st_size != kept.size:
                path.parent.mkdir(mode=clear_tables.FOLDER_MODE, exist_ok=True)
                _write(place, kept, path, mode=clear_tables.FILE_MODE)
        for kept in backup.area(SNAPSHOTS):
            path = snapshots.folder(settings) / kept.path
            if not path.exists() or path.stat().st_size != kept.size or not _opens(settings, path):
                _write(place, kept, path)
                crash_point("restore.snapshot")
        for kept in backup.area(PINS):
            if not (_pins(settings) / kept.path).exists():
                _write(place, kept, _pins(settings) / kept.path)
        for kept in backup.area(WORKSHOP):
            _replace_workshop(settings, place, kept)
        crash_point("restore.workshop_replaced")
        now, then = _current(settings), backup.snapshot_id
        if now is not None and then is not None and now > then:
            notes.append(
                f"consumers go on seeing snapshot {now}, which is newer than the backup; "
                "the next publish replaces it"
            )
        elif then is not None and now != then:
            point_to(settings, then)
    return notes


def _current(settings: Settings) -> str | None:
    """What consumers see, if they see anything."""
    with suppress(SluiceError):
        found = snapshots.current(settings)
        return found.snapshot_id if found is not None else None
    pointer = settings.published_path
    if pointer.exists() and not pointer.is_symlink():
        raise PublishError(
            f"{pointer} is not the link that a publish makes.",
            remedy="Move it away, then restore again.",
        )
    return None


def _opens(settings: Settings, path: Path) -> bool:
    try:
        snapshots.show(settings, path.stem)
    except (SluiceError, duckdb.Error):
        return False
    return True


def _replace_workshop(settings: Settings, place: Place, kept: Kept) -> None:
    path = settings.workshop_path
    aside = path.with_name(f".{path.name}.tmp")
    _fill(place, kept, aside)
    crash_point("restore.workshop_aside")
    # Its journal must not be played into the file that takes its place.
    journal = path.with_name(f"{path.name}.wal")
    if journal.exists():
        with suppress(SluiceError, duckdb.Error), closing(workshop.connect_file(settings)) as old:
            old.execute("checkpoint")
        journal.unlink(missing_ok=True)
    aside.replace(path)
    sync(path.parent)


def _write(place: Place, kept: Kept, path: Path, *, mode: int = 0o666) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    _fill(place, kept, aside, mode)
    aside.replace(path)
    sync(path.parent)


def _fill(place: Place, kept: Kept, aside: Path, mode: int = 0o666) -> None:
    aside.parent.mkdir(parents=True, exist_ok=True)
    aside.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            for part in kept.parts:
                file.write(place.part(part))
        if aside.stat().st_size != kept.size:
            raise SluiceError(
                f"The backup holds {aside.stat().st_size} bytes of {kept.path}, not {kept.size}.",
                remedy="Restore another backup: `sluice backup list`.",
            )
        if kept.stamp.isdigit():
            os.utime(aside, ns=(int(kept.stamp), int(kept.stamp)))
        sync(aside)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
