"""A landed file that shall not be loaded, or no longer: landing keeps it, the log knows why.

The platform log is the truth. The ledger follows it, in a workshop that was made anew as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingestion.contracts import read_contracts
from ingestion.landing import Landing
from ingestion.ledger import SCHEMA, ensure_ledger, set_aside_files
from ingestion.withdrawal import repetitions, withdraw
from warehouse import platform_log, structure
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.errors import WRONG_USE, SluiceError
from warehouse.settings import Settings
from warehouse.workshop import connect, transaction

LOG_KIND: Final = "loads"
# So much of the log is read again each time: clocks that are set back must not hide an event.
_AGAIN: Final = timedelta(days=1)


@dataclass(frozen=True)
class Aside:
    """What the log says of one file."""

    file: str
    because: str
    at: datetime

    @property
    def source_and_entity(self) -> tuple[str, str]:
        source, entity = [*self.file.split("/"), ""][:2]
        return source, entity


def set_aside(
    settings: Settings,
    file: str,
    because: str,
    *,
    connection: Connection | None = None,
) -> int:
    """Have the loads ignore this file (its path below the landing root) from now on.

    If it is loaded already, its rows leave raw; they are counted.
    """
    path = file.removeprefix(f"{Landing(settings).root}/").lstrip("/")
    if not because.strip():
        raise SluiceError(
            f"{path} is not set aside without a reason.",
            remedy="Say why: those who look for its rows later will ask.",
        )
    source = path.split("/")[0]
    if path not in {landed.path for landed in Landing(settings).files(source)}:
        raise SluiceError(
            f"{path} is not in the landing zone {settings.landing_url}.",
            remedy="Name it as the refusal does: <source>/<entity>/<date>/<file>.",
            exit_code=WRONG_USE,
        )
    if connection is not None:
        return _record(settings, connection, path, because)
    with closing(connect(settings)) as own:
        return _record(settings, own, path, because)


def _record(settings: Settings, connection: Connection, path: str, because: str) -> int:
    settle(settings, connection)
    if path in set_aside_files(connection):
        return 0
    now = wall_clock()
    asides = [Aside(each, because, now) for each in (path, *repetitions(connection, path))]
    # The log first: should this process end here, the next load carries on from it.
    platform_log.append(settings, LOG_KIND, [_event(aside) for aside in asides])
    return sum(_apply(settings, connection, aside) for aside in asides)


def _event(aside: Aside) -> dict[str, object]:
    source, entity = aside.source_and_entity
    return {
        "outcome": "set_aside",
        "source": source,
        "entity": entity,
        "file": aside.file,
        "reason": aside.because,
    }


def files_aside(settings: Settings, connection: Connection, *, has_ledger: bool) -> frozenset[str]:
    """What the log says, without writing."""
    if not has_ledger:
        return frozenset(each.file for each in _news(settings, None))
    news = _news(settings, _read_until(connection))
    return set_aside_files(connection) | {each.file for each in news}


def settle(settings: Settings, connection: Connection) -> None:
    """Have the ledger follow the log."""
    ensure_ledger(connection)
    position, now = _read_until(connection), wall_clock()
    done = set_aside_files(connection)
    for aside in _news(settings, position):
        if aside.file not in done:
            _apply(settings, connection, aside)
    if position is None or now - position > _AGAIN:
        with transaction(connection):
            connection.execute(f"delete from {SCHEMA}.log_position where kind = ?", [LOG_KIND])
            connection.execute(f"insert into {SCHEMA}.log_position values (?, ?)", [LOG_KIND, now])


def _apply(settings: Settings, connection: Connection, aside: Aside) -> int:
    source, entity = aside.source_and_entity
    contract = read_contracts(settings).get(source, {}).get(entity)
    with transaction(connection):
        rows = withdraw(connection, contract, aside.file, wall_clock()) if contract else 0
        connection.execute(
            f"insert into {SCHEMA}.set_aside values (?, ?, ?, ?, ?)",
            [aside.file, source, entity, aside.because, aside.at],
        )
    return rows


def _read_until(connection: Connection) -> datetime | None:
    if not structure.exists(connection, str(SCHEMA), "log_position"):
        return None
    [[until]] = connection.execute(
        f"select max(read_until) from {SCHEMA}.log_position where kind = ?", [LOG_KIND]
    ).fetchall()
    return until if isinstance(until, datetime) else None


def _news(settings: Settings, position: datetime | None) -> Sequence[Aside]:
    """In the order in which people said so."""
    return list(reversed(list(_newest_first(settings, position))))


def _newest_first(settings: Settings, position: datetime | None) -> Iterator[Aside]:
    for event in platform_log.read_newest_first(settings, LOG_KIND):
        at = platform_log.logged_at(event)
        if position is not None and at < position - _AGAIN:
            return
        if event.get("outcome") == "set_aside":
            yield Aside(event["file"], event["reason"], at)
