"""A folder into which somebody drops files, wherever fsspec reaches it."""

from __future__ import annotations

import fnmatch
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import fsspec

from ingestion.connectors.words import FilesSource
from warehouse.errors import SettingsError, SluiceError

_BLOCK: Final = 1 << 20
# An object is visible only when it is whole: there is nothing to wait for.
_WHOLE_AT_ONCE: Final = {"s3", "s3a", "gcs", "gs", "abfs", "az"}


@dataclass(frozen=True)
class Dropped:
    """A file as the drop lists it."""

    path: str
    size: int
    # Changes when the file is written again: the store's tag, or the time of modification.
    stamp: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


class Drop:
    def __init__(self, declared: FilesSource, source: str) -> None:
        self.declared, self.source = declared, source
        try:
            if declared.url.startswith("sftp://"):
                self._filesystem, self.root = _sftp(declared)
            else:
                self._filesystem, self.root = fsspec.core.url_to_fs(
                    declared.url, use_listings_cache=False, **declared.options
                )
        except ImportError as error:
            raise SettingsError(
                f"The drop of {source} needs a package that is not installed: {error}.",
                remedy="Install the extra `remote` (s3fs, paramiko).",
            ) from error
        except Exception as error:
            raise SluiceError(
                f"The drop of {source} cannot be reached: {type(error).__name__}: {error}",
                remedy="Look at `url` and `options` of its connector, and at the server.",
            ) from error
        protocol = self._filesystem.protocol
        names = {protocol} if isinstance(protocol, str) else set(protocol)
        self._waits = not names & _WHOLE_AT_ONCE

    def listing(self) -> list[Dropped]:
        """Every file below the folder; what begins with a dot is being written."""
        try:
            found: Mapping[str, Mapping[str, Any]] = self._filesystem.find(self.root, detail=True)
        except FileNotFoundError:
            found = {}
        except Exception as error:
            raise SluiceError(
                f"The drop of {self.source} cannot be listed: {type(error).__name__}: {error}",
                remedy="Look at `url` and `options` of its connector, and at the server.",
            ) from error
        if not found and not self._filesystem.exists(self.root) and self._waits:
            raise SluiceError(
                f"The drop of {self.source} is not there.",
                remedy="Make the folder that `url` of its connector names, or correct it.",
            )
        base = self.root.rstrip("/") + "/"
        files = []
        for where, info in sorted(found.items()):
            path = where[len(base) :] if where.startswith(base) else where
            if not any(part.startswith(".") for part in path.split("/")):
                files.append(Dropped(path, int(info.get("size") or 0), _stamp(info)))
        return files

    def complete(self, wanted: Sequence[Dropped], listed: Sequence[Dropped]) -> list[Dropped]:
        """Those that are whole: their marker is there, or a second look finds them unchanged."""
        if self.declared.marker:
            there = {file.path for file in listed}
            return [file for file in wanted if self.marker_of(file) in there]
        if not wanted or not self._waits or not self.declared.settle_seconds:
            return list(wanted)
        time.sleep(self.declared.settle_seconds)
        again = set(self.listing())
        return [file for file in wanted if file in again]

    def marker_of(self, file: Dropped) -> str:
        folder = file.path[: -len(file.name)]
        stem = file.name.split(".")[0]
        return folder + self.declared.marker.format(name=file.name, stem=stem)

    def fetch(self, file: Dropped, into: Path) -> str | None:
        """The file's bytes and their hash; nothing if it changed meanwhile."""
        digest, size = hashlib.blake2b(digest_size=16), 0
        try:
            with (
                self._filesystem.open(f"{self.root.rstrip('/')}/{file.path}", "rb") as stream,
                into.open("wb") as out,
            ):
                while block := cast(bytes, stream.read(_BLOCK)):
                    digest.update(block)
                    out.write(block)
                    size += len(block)
            info = self._filesystem.info(f"{self.root.rstrip('/')}/{file.path}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SluiceError(
                f"{file.path} in the drop of {self.source} cannot be read: {error}",
                remedy="Look at the rights of the account that Sluice uses there.",
            ) from error
        unchanged = size == file.size and _stamp(info) == file.stamp
        return digest.hexdigest() if unchanged else None


def matches(pattern: str, path: str) -> bool:
    """`orders_*.csv` in the folder itself, `eu/*/orders.csv`, `**/orders_*.csv` at any depth."""
    if pattern.startswith("**/"):
        rest = pattern[3:]
        parts = path.split("/")
        return any(matches(rest, "/".join(parts[n:])) for n in range(len(parts)))
    if pattern.count("/") != path.count("/"):
        return False
    return all(
        fnmatch.fnmatchcase(part, each)
        for part, each in zip(path.split("/"), pattern.split("/"), strict=True)
    )


def _stamp(info: Mapping[str, Any]) -> str:
    keys = ("ETag", "etag", "mtime", "LastModified", "created")
    return str(next((info[key] for key in keys if info.get(key) is not None), ""))


def _sftp(declared: FilesSource) -> tuple[Any, str]:
    from ingestion.connectors.sftp import filesystem

    return filesystem(declared)
