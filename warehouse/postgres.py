"""PostgreSQL as a warehouse: one server that a team shares.

`connect` gives what every room uses; `raw` is psycopg's own connection, for COPY. The writer's
lock is an advisory lock of a session of its own: we let it go before we close that, and if we do
not come to it, the server does when the session ends, however it ends.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from warehouse.connection import EngineError, NoSuchColumnError, NoSuchTableError
from warehouse.errors import LockedError, SettingsError, SluiceError
from warehouse.schemas import lock
from warehouse.secrets import redacted, remember
from warehouse.settings import Settings

if TYPE_CHECKING:
    import psycopg

# One warehouse, one writer: the number means nothing, everybody only has to name the same one.
WRITER_LOCK: Final = 0x51_01CE
POLL_SECONDS: Final = 0.2
OLDEST_VERSION: Final = 140000
_PLACE = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\$\w+\$.*?\$\w+\$|(\?)|\$([a-z_]\w*)|(%)""", re.S
)
# A connection that the network has swallowed is noticed within a minute.
_KEEPALIVE: Final[dict[str, Any]] = {
    "keepalives": 1,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "connect_timeout": 15,
    # What was sent and is not confirmed, too; in milliseconds.
    "tcp_user_timeout": 60_000,
}


class PostgresConnection:
    """psycopg's connection in the shape of warehouse.connection.Connection."""

    def __init__(self, raw: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.raw = raw

    def execute(self, query: str, parameters: Any = None) -> Any:
        text = placed(query) if parameters else query
        with translated():
            return self.raw.execute(text.encode(), parameters or None)

    def cursor(self) -> PostgresConnection:
        """A second session, as DuckDB's cursor is one."""
        import psycopg

        return PostgresConnection(
            psycopg.connect(self.raw.info.dsn, password=self.raw.info.password, autocommit=True)
        )

    def close(self) -> None:
        self.raw.close()


@contextmanager
def translated() -> Iterator[None]:
    """psycopg's errors as those that rooms catch; the original stays their cause."""
    import psycopg

    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise NoSuchTableError(said(error)) from error
    except psycopg.errors.UndefinedColumn as error:
        raise NoSuchColumnError(said(error)) from error
    except psycopg.Error as error:
        raise EngineError(said(error)) from error


def placed(query: str) -> str:
    """The statement with psycopg's places: `?` and `$name` as DuckDB writes them, `%` as itself."""

    def place(found: re.Match[str]) -> str:
        if found[1]:
            return "%s"
        if found[2]:
            return f"%({found[2]})s"
        return found[0].replace("%", "%%")

    return _PLACE.sub(place, query)


def said(error: Exception) -> str:
    """The server's first line: what follows may quote rows."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's five-letter code of an error; empty if the server had no part in it."""
    return str(getattr(error.__cause__, "sqlstate", None) or "")


def lost(error: BaseException) -> bool:
    """Did the session end under our hands?"""
    import psycopg

    state = sqlstate(error)
    if state:
        return state.startswith("08") or state in ("57P01", "57P02", "57P03", "25P03")
    return isinstance(error.__cause__, psycopg.OperationalError | psycopg.InterfaceError)


def parts(settings: Settings) -> dict[str, str]:
    """Where the server is and who we are there, from SLUICE_POSTGRES and libpq's own variables."""
    from psycopg import conninfo

    try:
        given = conninfo.conninfo_to_dict(settings.postgres.get_secret_value())
    except Exception:
        # The text of the error repeats the setting, password and all.
        raise SettingsError(
            "SLUICE_POSTGRES cannot be read as a connection.",
            remedy="Write postgresql://user:password@host:5432/database; "
            "a password with special characters is percent-encoded.",
        ) from None
    defaults = {
        "host": os.environ.get("PGHOST", ""),
        "port": os.environ.get("PGPORT", "5432"),
        "user": os.environ.get("PGUSER", ""),
        "password": os.environ.get("PGPASSWORD", ""),
        "dbname": os.environ.get("PGDATABASE", ""),
    }
    found = {**defaults, **{key: str(value) for key, value in given.items() if value is not None}}
    remember(found["password"])
    missing = [key for key in ("host", "user", "dbname") if not found[key]]
    if missing:
        raise SettingsError(
            f"The PostgreSQL target does not know its {', '.join(missing)}.",
            remedy="Set SLUICE_POSTGRES=postgresql://user:password@host:5432/database "
            "in the environment or in .env.",
        )
    return found


def connect(
    settings: Settings, *, read_only: bool = False, purpose: str = "sluice"
) -> PostgresConnection:
    """Open the warehouse in UTC, or say in plain words why that is not possible."""
    import psycopg

    where = parts(settings)
    try:
        given: dict[str, Any] = {**_KEEPALIVE, **where, "application_name": purpose[:63]}
        raw: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(**given, autocommit=True)
    except psycopg.Error as error:
        raise _explained(where, error) from error
    if raw.info.server_version < OLDEST_VERSION:
        version = raw.info.server_version // 10000
        raw.close()
        raise SettingsError(
            f"The server is PostgreSQL {version}; Sluice needs 14 or newer.",
            remedy="Upgrade it, or point SLUICE_POSTGRES to another server.",
        )
    raw.execute("set timezone = 'UTC'")
    raw.execute("set client_min_messages = warning")
    if read_only:
        raw.execute("set default_transaction_read_only = on")
    return PostgresConnection(raw)


def _explained(where: Mapping[str, str], error: Exception) -> SluiceError:
    at = f"{where['host']}:{where['port']}"
    text = redacted(said(error))
    if "does not exist" in text and "database" in text:
        remedy = f"Create it: createdb -h {where['host']} -p {where['port']} {where['dbname']}"
    elif "authentication" in text or "password" in text or "role" in text:
        remedy = f"Check the user ({where['user']}) and the password in SLUICE_POSTGRES."
    else:
        remedy = "Is the server up, and SLUICE_POSTGRES right? `sluice doctor` tries it."
    return SluiceError(f"PostgreSQL at {at} does not let us in: {text}", remedy=remedy)


_lock_session: list[PostgresConnection] = []


@contextmanager
def writing(
    settings: Settings, purpose: str, *, waiting: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the writer's lock; a second writer queues."""
    session = connect(settings, purpose=f"sluice writer: {purpose} (pid {os.getpid()})")
    try:
        _acquire(settings, session, waiting)
        _lock_session.append(session)
        try:
            yield
        finally:
            _lock_session.remove(session)
            let_go(session, WRITER_LOCK)
    finally:
        with suppress(Exception):
            session.close()


def let_go(session: PostgresConnection, number: int) -> None:
    """Closing only asks the server to end the session: it would hold the lock a moment longer."""
    with suppress(EngineError):
        session.execute(f"select pg_advisory_unlock({lock(number)})")


def hold_until_exit(settings: Settings, purpose: str) -> None:
    """Hold the writer's lock for as long as this process lives, or say who holds it."""
    if _lock_session:
        return
    session = connect(settings, purpose=f"sluice writer: {purpose} (pid {os.getpid()})")
    _acquire(settings, session, None)
    _lock_session.append(session)


def still_writing() -> None:
    """The lock went with its session: then somebody else may write, and we must not."""
    for session in _lock_session:
        try:
            session.execute("select 1")
        except EngineError as error:
            raise LockedError(
                "The connection that held the writer's lock was lost; this run stops here.",
                remedy="Run again: what was committed stays, what was not is done anew.",
            ) from error


def _acquire(
    settings: Settings, session: PostgresConnection, waiting: Callable[[str], None] | None
) -> None:
    deadline = time.monotonic() + settings.lock_wait_seconds
    told = False
    while not session.execute(f"select pg_try_advisory_lock({lock(WRITER_LOCK)})").fetchone()[0]:
        who = holder(session)
        text = who.get("purpose", "another run")
        if waiting is not None and not told:
            waiting(f"Waiting for {text}, which writes since {who.get('since', '?')}.")
            told = True
        if time.monotonic() >= deadline:
            raise LockedError(
                f"The warehouse is still being written by {text}.",
                remedy="Wait for it, end it, or raise SLUICE_LOCK_WAIT_SECONDS.",
            )
        time.sleep(POLL_SECONDS)


def holder(session: PostgresConnection) -> dict[str, str]:
    """Who holds the writer's lock, as the server knows it; empty if nobody does."""
    row = session.execute(
        f"""select replace(application_name, 'sluice writer: ', ''), backend_start
            from pg_locks inner join pg_stat_activity using (pid)
            where locktype = 'advisory' and granted and objsubid = 1
                and classid::bigint << 32 | objid::bigint = {lock(WRITER_LOCK)}
                and pg_locks.database = (select oid from pg_database
                                         where datname = current_database())"""
    ).fetchone()
    return {"purpose": row[0], "since": row[1].isoformat(), "pid": ""} if row else {}
