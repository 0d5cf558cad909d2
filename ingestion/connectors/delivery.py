"""Batches into landing, together with the cursor that says how far the source is read.

What belongs together is written aside; one record with the new cursor and the list of these files
is the commit; then each file gets its name. Whoever comes after a kill finishes what a record
lists and removes what none lists: a batch and its cursor are there together, or neither is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import fsspec

from ingestion.landing import ORIGINALS
from warehouse.alone import alone
from warehouse.clock import wall_clock
from warehouse.disk import sync
from warehouse.settings import Settings

_ASIDE, _RECORDS = ".aside", ".connector"
# Older ones say nothing that the newest does not.
_KEPT_RECORDS: Final = 3


class Store:
    """Landing, to write: a local folder is synced to the disk, an object store is as it is."""

    def __init__(self, settings: Settings) -> None:
        self._filesystem, self.root = fsspec.core.url_to_fs(settings.landing_url)
        self.is_local = "file" in self._filesystem.protocol

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        where = f"{self.root}/{path}"
        if self.is_local:
            Path(where).parent.mkdir(parents=True, exist_ok=True)
            with Path(where).open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
        else:
            with self._filesystem.open(where, "wb") as stream:
                yield cast(BinaryIO, stream)

    def put(self, path: str, content: bytes) -> None:
        """Whole or not at all."""
        if not self.is_local:
            self._filesystem.pipe_file(f"{self.root}/{path}", content)
            return
        folder, _, name = path.rpartition("/")
        with self.writing(f"{folder}/.{name}.tmp") as stream:
            stream.write(content)
        self.move(f"{folder}/.{name}.tmp", path)

    def move(self, path: str, to: str) -> None:
        if self.is_local:
            place = Path(self.root, to)
            place.parent.mkdir(parents=True, exist_ok=True)
            Path(self.root, path).replace(place)
            sync(place.parent)
        else:
            self._filesystem.mv(f"{self.root}/{path}", f"{self.root}/{to}")

    def move_in(self, local: Path, to: str) -> None:
        """A finished local file becomes a landed one."""
        place = Path(self.root, to)
        if self.is_local:
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                local.replace(place)
                sync(place.parent)
                return
            except OSError:
                # Another disk: copied aside first.
                aside = f"{to.rpartition('/')[0]}/.{place.name}.tmp"
                with self.writing(aside) as stream, local.open("rb") as content:
                    while block := content.read(1 << 20):
                        stream.write(block)
                self.move(aside, to)
        else:
            self._filesystem.put_file(str(local), f"{self.root}/{to}")
        local.unlink()

    def read(self, path: str) -> bytes:
        return cast(bytes, self._filesystem.cat_file(f"{self.root}/{path}"))

    def names(self, folder: str) -> list[str]:
        where = f"{self.root}/{folder}"
        try:
            if self.is_local:
                return sorted(each.name for each in os.scandir(where))
            self._filesystem.invalidate_cache(where)
            entries = self._filesystem.ls(where, detail=False)
            return sorted(str(each).rstrip("/").rsplit("/", 1)[-1] for each in entries)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def remove(self, path: str) -> None:
        self._filesystem.rm_file(f"{self.root}/{path}")


@dataclass
class Delivery:
    """Files that will land together."""

    store: Store
    source: str
    stream: str
    number: int
    at: datetime
    files: list[dict[str, str]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def batch(self, entity: str, label: str, extension: str, rows: int = 0) -> Iterator[BinaryIO]:
        """A file of this entity; its name is unique and sorts by arrival."""
        name = f"{self.at:%Y%m%dT%H%M%S}-{self.number:06d}-{_plain(label)}.{extension}"
        with self._file(f"{self.source}/{entity}/{self.at:%Y-%m-%d}/{name}") as stream:
            yield stream
        self.rows[entity] = self.rows.get(entity, 0) + rows

    @contextmanager
    def original(self, entity: str, label: str, extension: str) -> Iterator[BinaryIO]:
        """The bytes as received, beside a batch that was made from them; the loader passes by."""
        name = f"{self.at:%Y%m%dT%H%M%S}-{self.number:06d}-{_plain(label)}.{extension}"
        folder = f"{self.source}/{entity}/{self.at:%Y-%m-%d}/{ORIGINALS}"
        with self._file(f"{folder}/{name}") as stream:
            yield stream

    @property
    def landed(self) -> list[str]:
        return [each["path"] for each in self.files if f"/{ORIGINALS}/" not in each["path"]]

    @contextmanager
    def _file(self, path: str) -> Iterator[BinaryIO]:
        aside = f"{self.source}/{_ASIDE}/{self.stream}/{self.number:06d}-{len(self.files):06d}"
        self.files.append({"aside": aside, "path": path})
        with self.store.writing(aside) as stream:
            yield stream


class Stream:
    """What one connector reads in one go: its cursor, and the way into landing."""

    def __init__(self, settings: Settings, source: str, name: str) -> None:
        self.store, self.source, self.name = Store(settings), source, name
        self._records = f"{source}/{_RECORDS}/{name}"
        self.number, self.cursor, self.committed_at = 0, dict[str, Any](), None
        newest = self._numbers()[-1:]
        if newest:
            record = json.loads(self.store.read(f"{self._records}/{newest[0]:012d}.json"))
            self.number, self.cursor = int(record["number"]), dict(record["cursor"])
            self.committed_at = datetime.fromisoformat(record["committed_at"])
            self._files: list[Mapping[str, str]] = record["files"]
        else:
            self._files = []

    committed_at: datetime | None

    def settle(self) -> None:
        """Finish what the newest record lists; remove what none lists."""
        folder = f"{self.source}/{_ASIDE}/{self.name}"
        waiting = {f"{folder}/{name}" for name in self.store.names(folder)}
        for file in self._files:
            if file["aside"] in waiting:
                self.store.move(file["aside"], file["path"])
        for path in waiting - {file["aside"] for file in self._files}:
            self.store.remove(path)

    def begin(self) -> Delivery:
        return Delivery(self.store, self.source, self.name, self.number + 1, wall_clock())

    def commit(self, delivery: Delivery, cursor: Mapping[str, Any]) -> None:
        record = {
            "number": delivery.number,
            "committed_at": delivery.at.isoformat(),
            "cursor": cursor,
            "files": delivery.files,
        }
        content = json.dumps(record, default=str).encode()
        self.store.put(f"{self._records}/{delivery.number:012d}.json", content)
        self.number, self.cursor, self._files = delivery.number, dict(cursor), list(delivery.files)
        self.committed_at = delivery.at
        for file in delivery.files:
            self.store.move(file["aside"], file["path"])
        for number in self._numbers()[:-_KEPT_RECORDS]:
            self.store.remove(f"{self._records}/{number:012d}.json")

    def forget(self) -> None:
        """As if nothing had been read; what has landed stays.

        Change capture must say so when it reads a table anew: deletes were missed meanwhile.
        """
        known = {*self.cursor.get("cleared", ()), *self.cursor.get("tables", {})}
        self.commit(self.begin(), {"cleared": sorted(known)} if known else {})

    def _numbers(self) -> list[int]:
        names = self.store.names(self._records)
        return sorted(int(name[:-5]) for name in names if re.fullmatch(r"\d+\.json", name))


@contextmanager
def only_reader(settings: Settings, source: str) -> Iterator[None]:
    """One process at a time reads a source."""
    with alone(settings.own_dir / "connectors" / f"{source}.lock"):
        yield


def _plain(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", label).strip("._")[:80] or "batch"
