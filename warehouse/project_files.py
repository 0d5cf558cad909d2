"""The files from which dbt reads the project, and whether one of them has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from warehouse.settings import PROJECT_ROOT

PROJECT_ROOMS = ("dbt_project", "macros_lib", "seeds")
PROJECT_FILES = (".sql", ".yml", ".yaml", ".csv", ".md", ".py")

FileState = tuple[str, int, int, int]
"""Path, inode, size and time of writing: what a file is not changed without changing."""


def fingerprint() -> str:
    """Changes with any file of the project that dbt reads."""
    return _digest(tuple(_states(PROJECT_ROOT, PROJECT_ROOMS)))


def _states(folder: Path, names: Iterable[str]) -> Iterator[FileState]:
    for name in names:
        if not (folder / name).is_dir():
            continue
        with os.scandir(folder / name) as found:
            entries = sorted(found, key=lambda each: each.name)
        for entry in entries:
            if entry.name.endswith(PROJECT_FILES) and entry.is_file():
                now = entry.stat()
                yield entry.path, now.st_ino, now.st_size, now.st_mtime_ns
        below = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
        yield from _states(folder / name, [each for each in below if each != "target"])


@lru_cache(maxsize=2)
def _digest(states: tuple[FileState, ...]) -> str:
    """Asked hundreds of times a run: files are read again only when one's state has changed."""
    digest = hashlib.sha256()
    for path, *state in states:
        digest.update(path.removeprefix(str(PROJECT_ROOT)).encode())
        digest.update(_checksum(path, *state))
    return digest.hexdigest()


@lru_cache(maxsize=8192)
def _checksum(path: str, *_state: int) -> bytes:
    return hashlib.sha256(Path(path).read_bytes()).digest()
