"""Where backups lie: a folder, or any fsspec location.

A file is kept as parts of at most PART_BYTES, each under the name of its content's hash. What is
there already is not written again: a landed file that never changes, the blocks of a database
file that one day left as they were. A backup is its inventory, which is written last.
"""

from __future__ import annotations

import hashlib
import os
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import fsspec

from warehouse.alone import alone_or_refused
from warehouse.crash_points import crash_point
from warehouse.errors import SluiceError

PART_BYTES: Final = 4 * 1024 * 1024
PARTS, INVENTORIES = "parts", "backups"
SUFFIX: Final = ".backup"
# Little work for most of the gain; what does not shrink costs little, too.
_LEVEL: Final = 1
_DIGEST_BYTES: Final = 32
_OWNER_ONLY: Final = 0o700


class Place:
    """The parts and inventories below one root. They hold personal data: only the owner reads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._filesystem: Any
        self._filesystem, root = fsspec.core.url_to_fs(url)
        self.root = str(root)
        self._local = "file" in self._filesystem.protocol
        self._present: set[str] | None = None
        self.bytes_added = 0

    @property
    def is_local(self) -> bool:
        return self._local

    def add(self, content: bytes) -> str:
        """Keep these bytes; the name under which they are found again."""
        name = hashlib.sha256(content).hexdigest()
        if self._present is None:
            self._present = {each.rsplit("/", 1)[-1] for each in self._find(PARTS)}
        if name not in self._present:
            packed = _packed(content)
            crash_point("backup.part")
            self._write(_place_of(name), packed)
            self._present.add(name)
            self.bytes_added += len(packed)
        return name

    def part(self, name: str) -> bytes:
        """The bytes, if they are still those that were kept."""
        where = f"{self.root}/{_place_of(name)}"
        try:
            packed = self._filesystem.cat_file(where)
        except FileNotFoundError as error:
            raise _damaged(where, "is not there") from error
        content = _unpacked(packed)
        if content is None or hashlib.sha256(content).hexdigest() != name:
            raise _damaged(where, "holds other bytes than were written")
        return content

    def inventories(self) -> list[str]:
        """Ids of the backups, the newest first."""
        names = (each.rsplit("/", 1)[-1] for each in self._find(INVENTORIES))
        return sorted(
            (
                each.removesuffix(SUFFIX)
                for each in names
                if each.endswith(SUFFIX) and not each.startswith(".")
            ),
            reverse=True,
        )

    def write_inventory(self, backup_id: str, text: str) -> None:
        """From now on the backup is there: all that it names must be safe on the disk before."""
        if self._local:
            os.sync()
        crash_point("backup.parts_written")
        self._write(_inventory(backup_id), _packed(text.encode()))
        if self._local:
            os.sync()

    def read_inventory(self, backup_id: str) -> str:
        where = f"{self.root}/{_inventory(backup_id)}"
        content = _unpacked(self._filesystem.cat_file(where))
        if content is None:
            raise _damaged(where, "holds other bytes than were written")
        return content.decode()

    def remove(self, backup_id: str) -> None:
        self._filesystem.rm_file(f"{self.root}/{_inventory(backup_id)}")

    def keep_only(self, names: set[str]) -> None:
        """Let go of parts that no backup names."""
        for where in self._find(PARTS):
            if where.rsplit("/", 1)[-1] not in names:
                with suppress(FileNotFoundError):
                    self._filesystem.rm_file(where)
        self._present = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time writes to a folder; a bucket is up to whoever plans backups."""
        if not self._local:
            yield
            return
        root = Path(self.root)
        root.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY)
        root.chmod(_OWNER_ONLY)
        told = f"Another process writes a backup to {self.url}."
        with alone_or_refused(root / ".lock", told, "Let it finish.", mode=0o600):
            yield

    def remove_leftovers(self) -> None:
        """What a killed backup left aside (call it under `alone`); whole parts are of use again."""
        for area in (PARTS, INVENTORIES):
            for where in self._find(area):
                if where.rsplit("/", 1)[-1].startswith("."):
                    with suppress(FileNotFoundError):
                        self._filesystem.rm_file(where)

    def _find(self, area: str) -> list[str]:
        self._filesystem.invalidate_cache()
        try:
            return [str(each) for each in self._filesystem.find(f"{self.root}/{area}")]
        except FileNotFoundError:
            return []

    def _write(self, name: str, content: bytes) -> None:
        """Aside, then renamed: a file is there whole or not at all."""
        folder, _, last = f"{self.root}/{name}".rpartition("/")
        aside = f"{folder}/.{last}.{uuid.uuid4().hex[:8]}.tmp"
        if not self._local:
            self._filesystem.makedirs(folder, exist_ok=True)
            self._filesystem.pipe_file(aside, content)
            self._filesystem.mv(aside, f"{folder}/{last}")
            return
        _make_folder(Path(folder), Path(self.root))
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(aside).replace(f"{folder}/{last}")
        except OSError:
            Path(aside).unlink(missing_ok=True)
            raise


def _place_of(part: str) -> str:
    return f"{PARTS}/{part[:2]}/{part}"


def _inventory(backup_id: str) -> str:
    return f"{INVENTORIES}/{backup_id}{SUFFIX}"


def _make_folder(folder: Path, root: Path) -> None:
    if not folder.is_dir():
        if folder != root:
            _make_folder(folder.parent, root)
        folder.mkdir(mode=_OWNER_ONLY, exist_ok=True, parents=folder == root)


def _packed(content: bytes) -> bytes:
    """Behind a digest of its own: some flipped bits change nothing of what is unpacked."""
    packed = zlib.compress(content, _LEVEL)
    return hashlib.sha256(packed).digest() + packed


def _unpacked(file: bytes) -> bytes | None:
    digest, packed = file[:_DIGEST_BYTES], file[_DIGEST_BYTES:]
    return zlib.decompress(packed) if hashlib.sha256(packed).digest() == digest else None


def _damaged(where: str, how: str) -> SluiceError:
    return SluiceError(
        f"The backup's file {where} {how}.",
        remedy="Nothing was restored from it. `sluice backup verify` lists the backups that are "
        "whole: restore one of these, or put this file back from a copy.",
    )
