"""The workshop: where the platform builds, one writer at a time.

On DuckDB a file that only the platform opens, on PostgreSQL the schemas that only its role sees.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import duckdb

from warehouse import postgres, structure
from warehouse.clock import wall_clock
from warehouse.connection import Connection, EngineError
from warehouse.errors import LockedError, SluiceError
from warehouse.schemas import called
from warehouse.settings import Settings

POLL_SECONDS = 0.2


def connect(settings: Settings, *, read_only: bool = False) -> Connection:
    """Open the workshop of the target."""
    if settings.target == "postgres":
        postgres.still_writing()
        return postgres.connect(settings, read_only=read_only)
    return connect_file(settings, read_only=read_only)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All or nothing, whatever ends it: an error, Ctrl-C or a kill."""
    connection.execute("begin")
    try:
        yield
        # Had another writer begun meanwhile, both would give the same numbers.
        postgres.still_writing()
    except BaseException:
        # A statement that failed may have ended the transaction itself.
        with suppress(duckdb.TransactionException, EngineError):
            connection.execute("rollback")
        raise
    connection.execute("commit")


def is_begun(settings: Settings) -> bool:
    """Was anything ever loaded into it?"""
    if settings.target == "postgres":
        with closing(postgres.connect(settings, read_only=True)) as session:
            return structure.exists(session, called("raw_ledger"), "batches")
    return settings.workshop_path.exists()


def where(settings: Settings) -> str:
    """The workshop's place, as a person would say it."""
    if settings.target == "postgres":
        parts = postgres.parts(settings)
        return f"{parts['dbname']} on {parts['host']}:{parts['port']}, as {parts['user']}"
    return str(settings.workshop_path)


def connect_file(settings: Settings, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the workshop's file in UTC, or say in plain words why that is not possible.

    DuckDB shares one instance per file and process, and refuses a second configuration:
    dbt's profile opens it the same way (no `config`), settings are given by SET.
    """
    path = settings.workshop_path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(str(path), read_only=read_only)
    except duckdb.IOException as error:
        raise _explained(path, error) from error
    connection.execute("set TimeZone = 'UTC'")
    # A missing table is an error, never a Python variable that happens to be called so.
    connection.execute("set python_enable_replacements = false")
    if settings.duckdb_memory_limit:
        connection.execute(f"set memory_limit = '{settings.duckdb_memory_limit}'")
    return connection


def _explained(path: Path, error: duckdb.Error) -> SluiceError:
    text = str(error)
    if "lock" in text.lower():
        return LockedError(
            f"The workshop {path} is open in another process.",
            remedy="Let that process finish, or end it; `sluice status` names the writer. "
            "Readers use the published snapshot, never the workshop.",
        )
    if "No space left" in text:
        return SluiceError(
            f"The disk that holds {path} is full.",
            remedy="Free space or set SLUICE_DATA_DIR to a larger disk, then run again: "
            "nothing half-written stays.",
        )
    return SluiceError(
        f"The workshop {path} cannot be opened: {text.splitlines()[0]}",
        remedy="It can be rebuilt from landing: move the file away and run `sluice run`.",
    )


def holder(settings: Settings) -> dict[str, str]:
    """Who holds (or last held) the writer's lock."""
    try:
        content = settings.writer_lock_path.read_text()
    except FileNotFoundError:
        return {}
    try:
        return dict(json.loads(content)) if content else {}
    except json.JSONDecodeError:
        return {}


@contextmanager
def writing(
    settings: Settings, purpose: str, *, waiting: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the writer's lock; a second writer queues. A killed writer leaves no lock behind."""
    if settings.target == "postgres":
        with postgres.writing(settings, purpose, waiting=waiting):
            yield
        return
    path = settings.writer_lock_path
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(settings, descriptor, waiting)
        _sign(descriptor, purpose)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


_held: list[int] = []


def hold_until_exit(settings: Settings, purpose: str) -> None:
    """Hold the writer's lock for as long as this process lives, or say who holds it."""
    if settings.target == "postgres":
        postgres.hold_until_exit(settings, purpose)
        return
    if _held:
        return
    path = settings.writer_lock_path
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    _acquire(settings, descriptor, None)
    _held.append(descriptor)
    _sign(descriptor, purpose)


def is_other_file(settings: Settings, file: str) -> bool:
    """Is this another database than the platform's workshop?"""
    return Path(file).resolve() != settings.workshop_path.resolve()


def _sign(descriptor: int, purpose: str) -> None:
    note = {"pid": os.getpid(), "purpose": purpose, "since": wall_clock().isoformat()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(note).encode(), 0)


def _acquire(settings: Settings, descriptor: int, waiting: Callable[[str], None] | None) -> None:
    deadline = time.monotonic() + settings.lock_wait_seconds
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            who = holder(settings)
            text = f"{who.get('purpose', 'another run')} (pid {who.get('pid', '?')})"
            if waiting is not None and not told:
                waiting(f"Waiting for {text}, which writes since {who.get('since', '?')}.")
                told = True
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"The warehouse is still being written by {text}.",
                    remedy="Wait for it, end it, or raise SLUICE_LOCK_WAIT_SECONDS.",
                ) from None
            time.sleep(POLL_SECONDS)


def is_writing(settings: Settings) -> dict[str, str] | None:
    """Who writes at this moment, or None: asked of the lock itself, not of what a file says."""
    if settings.target == "postgres":
        with closing(postgres.connect(settings, read_only=True)) as session:
            return postgres.holder(session) or None
    try:
        descriptor = os.open(settings.writer_lock_path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return holder(settings)
    finally:
        os.close(descriptor)
    return None
