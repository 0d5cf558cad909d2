"""From a profile to what a contract could say: names, key, personal columns, freshness."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ingestion.naming import is_id, personal_by_name, unique_names
from ingestion.profile import ColumnProfile
from ingestion.received import Received
from warehouse.errors import SluiceError

# Whoever sends more rarely says so himself.
_LONGEST_DAYS: Final = 62
_NEWEST: Final = (
    r"(updated|modified|changed|last_updated|last_modified|last_changed|exported)(_?(at|on|date|time))?|.*_"
    r"(updated|modified|changed)(_(at|on))?",
    r"(created|received|occurred|recorded|placed|ordered|sent)(_?(at|on|date|time))?|timestamp.*",
    r".*(_at|_on|date|time|day|month|year)(_value)?",
)


@dataclass(frozen=True)
class Proposed:
    """A column as the contract would have it."""

    name: str
    alias: str
    data_type: str
    is_required: bool
    seen: ColumnProfile
    personal: str = ""


@dataclass(frozen=True)
class Proposal:
    """One entity of a new source, ready to be written down."""

    source: str
    entity: str
    owner: str
    tier: int
    received: Received
    columns: tuple[Proposed, ...]
    key: tuple[str, ...]
    newest: str
    freshness_hours: int
    connector: Mapping[str, Any] = field(default_factory=dict)
    entity_connector: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        return f"stg_{self.source}__{self.entity}"

    @property
    def is_personal(self) -> bool:
        return any(column.personal for column in self.columns)


def propose(
    received: Received,
    source: str,
    entity: str,
    *,
    owner: str,
    tier: int = 3,
    key: Iterable[str] = (),
    freshness_hours: int = 0,
) -> Proposal:
    """What fits everything that was seen; `key` and `freshness_hours` overrule it."""
    notes = list(received.notes)
    usable = [each for each in received.profile.columns if _is_usable(each, notes)]
    names = unique_names(each.name for each in usable)
    wanted = _asked_key(tuple(key), names)
    chosen = wanted or tuple(names[each] for each in received.profile.key if each in names)
    newest = _newest([(name, seen) for seen, name in _pairs(usable, names)], chosen)
    columns = tuple(
        Proposed(
            name=name,
            alias=seen.name if seen.name != name else "",
            data_type=seen.data_type,
            is_required=seen.is_full and name in (*chosen, newest),
            seen=seen,
            personal=_personal(name, seen),
        )
        for seen, name in _pairs(usable, names)
    )
    if not columns:
        raise SluiceError("No column has a usable name.", remedy="Ask the sender for a header.")
    notes += _remarks(received, columns, chosen, newest)
    moves = _newest([(name, seen) for seen, name in _pairs(usable, names)], ())
    hours = freshness_hours or _freshness(next((c for c in columns if c.name == moves), None))
    return Proposal(
        source, entity, owner, tier, received, columns, chosen, newest, hours, notes=tuple(notes)
    )


def _pairs(
    usable: Iterable[ColumnProfile], names: Mapping[str, str]
) -> list[tuple[ColumnProfile, str]]:
    return [(each, names[each.name]) for each in usable]


def _is_usable(column: ColumnProfile, notes: list[str]) -> bool:
    """Braces would be a template for dbt; the loader keeps such a column in `_extra`."""
    if re.search(r"[{}\x00-\x1f\x7f]", column.name):
        notes.append(f"{column.name!r} is left out: such a name cannot stand in a contract.")
        return False
    return True


def _asked_key(key: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    ours = tuple(names.get(each, each) for each in key)
    lost = [each for each in ours if each not in names.values()]
    if lost:
        raise SluiceError(
            f"The key names {', '.join(lost)}, which is no column.",
            remedy=f"There are: {', '.join(names.values())}.",
        )
    return ours


def _newest(columns: list[tuple[str, ColumnProfile]], key: tuple[str, ...]) -> str:
    """The column by which the latest version of a row is known."""
    times = [
        name
        for name, seen in columns
        if seen.data_type in ("date", "timestamptz") and seen.is_full and name not in key
    ]
    for pattern in _NEWEST:
        for name in times:
            if re.fullmatch(pattern, name) and not re.search(r"birth|born|death|dob", name):
                return name
    return ""


def _personal(name: str, column: ColumnProfile) -> str:
    by_name = personal_by_name(name) if column.data_type != "boolean" else ""
    return by_name or column.pattern


def _freshness(column: Proposed | None) -> int:
    """Twice the usual distance between two moments, from two days to two months."""
    if column is None or column.seen.distinct < 3:
        return 48
    low, high = (datetime.fromisoformat(each) for each in (column.seen.low, column.seen.high))
    days = (high - low).days / (column.seen.distinct - 1)
    return 24 * min(_LONGEST_DAYS, max(2, math.ceil(2 * days)))


def _remarks(
    received: Received, columns: Iterable[Proposed], key: tuple[str, ...], newest: str
) -> list[str]:
    found = []
    for column in columns:
        seen = column.seen
        if seen.filled == 0:
            found.append(f"{column.name} is always empty; it is taken for text.")
        if seen.almost:
            odd = ", ".join(repr(each) for each in seen.strangers)
            found.append(f"{column.name} is {seen.almost} but for {odd}; it is taken for text.")
        if column.personal:
            found.append(f"{column.name} is taken for personal: {column.personal}.")
    if key and not any(is_id(name) for name in key):
        found.append(
            f"{', '.join(key)}: the key is a guess, for it tells these rows apart. If it does not "
            "identify what a row is about, name what does with --key."
        )
    if not key:
        found.append(
            f"Nothing tells all rows apart ({received.profile.repeated_rows:,} are exact "
            "repetitions): staging keeps one of the same rows. Name the key with --key."
        )
    elif not newest:
        found.append("No column says which version is the latest: the one received last wins.")
    return found
