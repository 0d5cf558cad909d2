"""The pointer that consumers follow: moved in one step, by one process at a time."""

from __future__ import annotations

import errno
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from warehouse import platform_log
from warehouse.alone import alone_or_refused
from warehouse.crash_points import crash_point
from warehouse.disk import sync
from warehouse.errors import PublishError
from warehouse.history import catch_up
from warehouse.settings import Settings
from warehouse.snapshots import KIND, SUFFIX, Snapshot, clear_folder, current_id, folder, ids, show
from warehouse.targets import on_postgres

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SAYS_FULL = ("no space left", "file too large", "disk quota")


@on_postgres("warehouse.snapshot_rows.rolling:roll_back")
def roll_back(settings: Settings, snapshot_id: str) -> Snapshot:
    """Switch consumers to a kept snapshot; the next publish goes forward again."""
    with exclusive(settings):
        crash_point("rollback.begun")
        before = current_id(settings)
        show(settings, snapshot_id)
        with explained(settings, f"consumers still see {before}"):
            catch_up(settings)
            remove_leftovers(settings)
            point_to(settings, snapshot_id)
        with explained(settings, f"consumers see {snapshot_id}, and the log does not say so"):
            platform_log.append(
                settings,
                KIND,
                [{"event": "rolled_back", "snapshot_id": snapshot_id, "from": before}],
            )
            crash_point("rollback.logged")
        return show(settings, snapshot_id)


@on_postgres("warehouse.snapshot_rows.books:exclusive")
@contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """One publish or roll-back at a time; a killed one leaves no lock behind."""
    folder(settings).mkdir(parents=True, exist_ok=True)
    with alone_or_refused(
        settings.published_dir / ".publish.lock",
        f"Another process is publishing to {settings.published_dir}.",
        "Let it finish, then try again; `sluice status` names the writer.",
    ):
        yield


def point_to(settings: Settings, snapshot_id: str) -> None:
    """Switch the pointer in one step that survives a crash (call it under `exclusive`)."""
    aside = settings.published_dir / f".current.{uuid.uuid4().hex[:8]}.tmp"
    aside.symlink_to(Path("snapshots") / f"{snapshot_id}{SUFFIX}")
    crash_point("pointer.made")
    aside.replace(settings.published_path)
    sync(settings.published_dir)
    crash_point("pointer.switched")


def remove_leftovers(settings: Settings) -> None:
    """What killed publishes left aside (call it under `exclusive`)."""
    here = settings.published_dir
    for place in (folder(settings), clear_folder(settings), here, here / "pins"):
        for path in place.glob(".*.tmp*"):
            path.unlink(missing_ok=True)
    kept = ids(settings)
    for path in clear_folder(settings).glob(f"*{SUFFIX}"):
        if path.stem not in kept:
            path.unlink(missing_ok=True)


@on_postgres("warehouse.snapshot_rows.books:explained")
@contextmanager
def explained(settings: Settings, holds: str) -> Iterator[None]:
    """A full disk, or whatever else DuckDB or the system says, in plain words and what holds."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        is_full = isinstance(error, OSError) and error.errno in FULL
        if is_full or any(sign in str(error).lower() for sign in SAYS_FULL):
            raise PublishError(
                f"The disk that holds {settings.published_dir} is full: {holds}.",
                remedy="Free space, or lower SLUICE_KEEP_SNAPSHOTS, then run again.",
            ) from error
        raise PublishError(
            f"Publishing failed, {holds}: {text}",
            remedy="Run again; if it repeats, rebuild the table that the message names.",
        ) from error
