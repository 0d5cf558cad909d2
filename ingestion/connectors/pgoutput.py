"""PostgreSQL's logical replication messages (pgoutput, version 1) as changes of rows."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from ingestion.connectors.pg_values import Convert

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_BEGIN = struct.Struct(">qqi")
_COMMIT = struct.Struct(">Bqqq")
_INT = struct.Struct(">i")
_OID = struct.Struct(">I")
_SHORT = struct.Struct(">h")

Values = dict[str, bytes]
"""By column its value as JSON; a value that was not sent is not in it."""


@dataclass(frozen=True)
class Relation:
    """A table as it was when the changes that follow were made."""

    oid: int
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    converters: tuple[Convert, ...]


@dataclass
class Change:
    relation: Relation
    op: str
    values: Values
    # Columns that were not sent, because they are large and did not change.
    unsent: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Committed:
    """A transaction, told at its beginning: where it was committed, and when."""

    lsn: int
    at: str


@dataclass(frozen=True)
class Ended:
    """A transaction is over; its last byte is before this place."""

    lsn: int


Message = Committed | Change | Ended


def messages(
    raw: Iterable[bytes],
    converter: Callable[[int], Convert],
    keys: Mapping[str, tuple[str, ...]],
) -> Iterator[Message]:
    """Typed messages; relations are remembered, and what is none of these is passed by.

    `keys` says what identifies a row of a table whose whole row is sent as its identity.
    """
    relations: dict[int, Relation] = {}
    for data in raw:
        kind = data[0]
        if kind == 73 or kind == 85 or kind == 68:
            yield from _row(data, kind, relations[_OID.unpack_from(data, 1)[0]])
        elif kind == 66:
            lsn, at, _ = _BEGIN.unpack_from(data, 1)
            yield Committed(lsn, moment(at))
        elif kind == 67:
            yield Ended(_COMMIT.unpack_from(data, 1)[2])
        elif kind == 82:
            relation = _relation(data, converter, keys)
            relations[relation.oid] = relation
        elif kind == 84:
            count = _INT.unpack_from(data, 1)[0]
            for number in range(count):
                oid = _OID.unpack_from(data, 6 + 4 * number)[0]
                yield Change(relations[oid], "truncate", {})


def moment(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()


def _row(data: bytes, kind: int, relation: Relation) -> Iterator[Change]:
    at, old, old_kind = 5, None, 0
    if kind != 73 and data[5] in (75, 79):
        old_kind = data[5]
        old, _, at = _tuple(data, 6, relation)
    if kind == 68:
        known = old or {}
        # A delete carries only the key, however much of the old row was sent.
        yield Change(relation, "delete", {k: known[k] for k in relation.key if k in known} or known)
        return
    values, unsent, _ = _tuple(data, at + 1, relation)
    if kind == 73:
        yield Change(relation, "insert", values)
        return
    if old is not None and old_kind == 79 and unsent:
        # The whole old row is known: it has what the new one does not repeat.
        values |= {name: old[name] for name in unsent if name in old}
        unsent = [name for name in unsent if name not in old]
    if old is not None and any(old.get(k) != values.get(k) for k in relation.key if k in old):
        yield Change(relation, "delete", {k: old[k] for k in relation.key if k in old})
        yield Change(relation, "insert", values, unsent)
        return
    yield Change(relation, "update", values, unsent)


def _tuple(data: bytes, at: int, relation: Relation) -> tuple[Values, list[str], int]:
    count = _SHORT.unpack_from(data, at)[0]
    at += 2
    values: Values = {}
    unsent: list[str] = []
    names, converters, size_of = relation.columns, relation.converters, _INT.unpack_from
    for number in range(count):
        kind = data[at]
        at += 1
        if kind == 116:
            end = at + 4 + size_of(data, at)[0]
            values[names[number]] = converters[number](data[at + 4 : end])
            at = end
        elif kind == 110:
            values[names[number]] = b"null"
        else:
            unsent.append(names[number])
    return values, unsent, at


def _relation(
    data: bytes, converter: Callable[[int], Convert], keys: Mapping[str, tuple[str, ...]]
) -> Relation:
    oid = _OID.unpack_from(data, 1)[0]
    schema, at = _string(data, 5)
    table, at = _string(data, at)
    count = _SHORT.unpack_from(data, at + 1)[0]
    is_full = data[at : at + 1] == b"f"
    at += 3
    columns, key, converters = [], [], []
    for _ in range(count):
        is_key = data[at] & 1
        name, at = _string(data, at + 1)
        columns.append(name)
        converters.append(converter(_OID.unpack_from(data, at)[0]))
        at += 8
        if is_key:
            key.append(name)
    full_name = f"{schema or 'pg_catalog'}.{table}"
    return Relation(
        oid=oid,
        name=full_name,
        columns=tuple(columns),
        key=keys.get(full_name, ()) if is_full else tuple(key),
        converters=tuple(converters),
    )


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1
