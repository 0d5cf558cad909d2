"""The landing zone as the loader sees it: which files were received, and their bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import duckdb
import fsspec

from warehouse.settings import Settings

# Beside the files of a day: the bytes as received, where a connector had to convert them.
ORIGINALS: Final = ".original"


@dataclass(frozen=True)
class LandedFile:
    """One received file: landing/<source>/<entity>/<date received>/<name>."""

    source: str
    entity: str
    received: str
    name: str
    size: int
    # Changes when the file is written again: its time of modification, or the store's tag.
    stamp: str

    @property
    def path(self) -> str:
        """Relative to the landing root."""
        return "/".join(p for p in (self.source, self.entity, self.received, self.name) if p)

    @property
    def landing_order(self) -> tuple[str, str]:
        return self.received, self.name


class Landing:
    """Any fsspec location; a local folder is read without detours."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.landing_url
        self._filesystem, self.root = fsspec.core.url_to_fs(self.url)
        self.is_local = "file" in self._filesystem.protocol

    def entities(self, source: str) -> list[str]:
        return self._folders(source)

    def files(self, source: str) -> Iterator[LandedFile]:
        """What a source sent, in no promised order. Names that start with a dot are not there."""
        if self.is_local:
            yield from self._local_files(source)
        else:
            yield from self._remote_files(source)

    def newest(self, source: str) -> tuple[str, ...]:
        """The newest file of each entity, without looking at the older ones."""
        found = []
        for entity in self.entities(source):
            days = self._names(f"{source}/{entity}")
            for day in sorted(days, reverse=True):
                names = self._names(f"{source}/{entity}/{day}")
                if names:
                    found.append(f"{source}/{entity}/{day}/{max(names)}")
                    break
        return tuple(sorted(found))

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        where = f"{self.root}/{path}"
        if self.is_local:
            with Path(where).open("rb") as stream:
                yield stream
        else:
            with self._filesystem.open(where, "rb") as stream:
                yield cast(BinaryIO, stream)

    def remove(self, path: str) -> None:
        """A file, with the bytes that it was made from; what is not there is gone already."""
        folder, _, name = path.rpartition("/")
        originals = f"{folder}/{ORIGINALS}"
        made_from = [
            f"{originals}/{each}"
            for each in self._names(originals)
            if each.startswith(f"{name.partition('.')[0]}.")
        ]
        for each in (*made_from, path):
            with suppress(FileNotFoundError):
                self._filesystem.rm_file(f"{self.root}/{each}")
        if self.is_local:
            for empty in (originals, folder):
                with suppress(OSError):
                    Path(self.root, empty).rmdir()

    def readable_by(self, connection: duckdb.DuckDBPyConnection, path: str) -> str:
        """The place under which DuckDB itself finds this file."""
        if self.is_local:
            return f"{self.root}/{path}"
        protocol = self._filesystem.protocol
        name = protocol if isinstance(protocol, str) else protocol[0]
        if not connection.filesystem_is_registered(name):
            connection.register_filesystem(self._filesystem)
        return f"{name}://{self.root.lstrip('/')}/{path}"

    def _names(self, folder: str) -> list[str]:
        where = f"{self.root}/{folder}" if folder else self.root
        try:
            if self.is_local:
                names = [entry.name for entry in os.scandir(where)]
            else:
                entries = self._filesystem.ls(where, detail=False)
                names = [str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [name for name in names if not name.startswith(".")]

    def _folders(self, folder: str) -> list[str]:
        names = self._names(folder)
        base = f"{self.root}/{folder}" if folder else self.root
        return sorted(name for name in names if self._filesystem.isdir(f"{base}/{name}"))

    def _local_files(self, source: str) -> Iterator[LandedFile]:
        for entity in self.entities(source):
            folder = f"{self.root}/{source}/{entity}"
            for received, entry in _two_levels(folder):
                info = entry.stat()
                yield LandedFile(
                    source, entity, received, entry.name, info.st_size, str(info.st_mtime_ns)
                )

    def _remote_files(self, source: str) -> Iterator[LandedFile]:
        base = f"{self.root}/{source}"
        found: dict[str, dict[str, Any]] = self._filesystem.find(base, detail=True)
        for where, info in found.items():
            parts = where[len(base) :].lstrip("/").split("/")
            if len(parts) < 2 or any(part.startswith(".") for part in parts):
                continue
            stamp = next((info[k] for k in ("ETag", "etag", "mtime", "created") if k in info), "")
            yield LandedFile(
                source, parts[0], "/".join(parts[1:-1]), parts[-1], int(info["size"]), str(stamp)
            )


def _two_levels(folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as days:
        for day in days:
            if day.name.startswith("."):
                continue
            if not day.is_dir():
                yield "", day
                continue
            with os.scandir(day.path) as files:
                for file in files:
                    if not file.name.startswith(".") and file.is_file():
                        yield day.name, file
