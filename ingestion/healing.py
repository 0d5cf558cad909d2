"""Quarantine that heals by itself: a contract that has changed may explain what it did not before.

The ledger remembers under which contract an entity's rows were last held. When that is another
one, its quarantine is replayed before the next load; rows that still do not fit stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from ingestion.contracts import Contract, read_contracts
from ingestion.ledger import SCHEMA, ensure_ledger
from ingestion.reparse import QuarantineReplay, replay_quarantine
from warehouse import platform_log
from warehouse.clock import wall_clock
from warehouse.connection import NO_SUCH_TABLE, Connection
from warehouse.settings import Settings
from warehouse.workshop import transaction

LOG_KIND: Final = "heals"
_TABLE: Final = """create table if not exists {schema}.contracts (
    source varchar, entity varchar, fingerprint varchar, held_since timestamptz
)"""


@dataclass(frozen=True)
class Healed:
    """What a changed contract made of an entity's quarantine."""

    source: str
    entity: str
    accepted: int
    still_bad: int

    def __str__(self) -> str:
        rest = f"; {self.still_bad:,} still do not" if self.still_bad else ""
        return (
            f"healed {self.source}.{self.entity}: {self.accepted:,} quarantined rows fit its "
            f"changed contract{rest}"
        )


def heal_quarantine(
    settings: Settings,
    connection: Connection,
    source: str,
    *,
    now: datetime | None = None,
) -> tuple[Healed, ...]:
    """Replay what a changed contract may explain now; tell where rows were won."""
    now = now or wall_clock()
    ensure_ledger(connection)
    connection.execute(_TABLE.format(schema=SCHEMA))
    changed = _changed(settings, connection, source)
    healed: list[Healed] = []
    for contract in changed:
        if _waiting(connection, contract):
            replayed = replay_quarantine(
                settings, connection, source, entity=contract.entity, now=now
            )
            healed += [_told(settings, each) for each in replayed if each.accepted]
        # Only now: a process that is ended in between replays once more, to the same end.
        _hold(connection, contract, now)
    return tuple(healed)


def has_other_contract(settings: Settings, connection: Connection, source: str) -> bool:
    """Is a contract of this source another one than its rows were last held against?"""
    try:
        return bool(_changed(settings, connection, source))
    except NO_SUCH_TABLE:
        return True


def _changed(settings: Settings, connection: Connection, source: str) -> list[Contract]:
    contracts = read_contracts(settings).get(source, {})
    held = _held(connection, source)
    return [each for each in contracts.values() if fingerprint(each) != held.get(each.entity)]


def fingerprint(contract: Contract) -> str:
    """Changes with anything that decides whether a row fits."""
    decides = {name: said for name, said in asdict(contract).items() if name != "retention"}
    return hashlib.sha256(repr(sorted(decides.items())).encode()).hexdigest()[:16]


def _told(settings: Settings, replay: QuarantineReplay) -> Healed:
    healed = Healed(replay.source, replay.entity, replay.accepted, replay.still_bad)
    event = {
        "what": "replayed_quarantine",
        "source": healed.source,
        "entity": healed.entity,
        "dataset": f"raw.{healed.source}.{healed.entity}",
        "row_count": healed.accepted,
        "because": "its contract changed after the rows were quarantined",
    }
    platform_log.append(settings, LOG_KIND, [event])
    return healed


def _held(connection: Connection, source: str) -> Mapping[str, str]:
    rows = connection.execute(
        f"select entity, fingerprint from {SCHEMA}.contracts where source = ?", [source]
    ).fetchall()
    return {str(entity): str(mark) for entity, mark in rows}


def _waiting(connection: Connection, contract: Contract) -> bool:
    [[count]] = connection.execute(
        f"""select count(*) from {SCHEMA}.quarantine
            where source = ? and entity = ? and replayed_at is null and content is not null""",
        [contract.source, contract.entity],
    ).fetchall()
    return bool(count)


def _hold(connection: Connection, contract: Contract, now: datetime) -> None:
    with transaction(connection):
        connection.execute(
            f"delete from {SCHEMA}.contracts where source = ? and entity = ?",
            [contract.source, contract.entity],
        )
        connection.execute(
            f"insert into {SCHEMA}.contracts values (?, ?, ?, ?)",
            [contract.source, contract.entity, fingerprint(contract), now],
        )
