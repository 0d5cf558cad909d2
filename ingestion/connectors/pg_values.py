"""PostgreSQL's values as JSON: from the text of its output functions, as its own row_to_json does.

A snapshot is written by row_to_json, changes arrive as text; both must land alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import psycopg

Convert = Callable[[bytes], bytes]

_NUMBERS: Final = {20, 21, 23, 700, 701, 1700}
_BOOLEAN, _JSON, _JSONB = 16, 114, 3802
_MOMENTS: Final = {1114, 1184}


@dataclass(frozen=True)
class PgType:
    """What a type comes down to, below its domains."""

    base: int
    # Of an array, what its elements come down to; else 0.
    element: int
    delimiter: str
    # row_to_json would take it apart: composites, and types with a cast to JSON.
    is_structured: bool


_TYPES: Final = """
    with recursive bases as (
        select oid, oid as base from pg_type
        union all
        select bases.oid, t.typbasetype from bases join pg_type t on t.oid = bases.base
        where t.typtype = 'd'
    ),
    found as (
        select bases.oid, t.oid as base, t.typtype, t.typcategory, t.typelem
        from bases join pg_type t on t.oid = bases.base where t.typtype <> 'd'
    ),
    structured as (
        select oid from pg_type where typtype = 'c'
        union select castsource from pg_cast
        where casttarget = 114 and castsource not in (114, 3802) and castfunc <> 0
    )
    select f.oid, f.base,
        case when f.typcategory = 'A' then coalesce(e.base, 0) else 0 end,
        coalesce(et.typdelim::text, ','),
        f.base in (select oid from structured)
            or (f.typcategory = 'A' and coalesce(e.base, 0) in (select oid from structured))
    from found f
    left join found e on e.oid = f.typelem
    left join pg_type et on et.oid = f.typelem
"""


class Types:
    """The types of a database; asked again when one comes that was not there."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._known: Mapping[int, PgType] = {}

    def __getitem__(self, oid: int) -> PgType:
        if oid not in self._known:
            rows = self._connection.execute(_TYPES).fetchall()
            self._known = {row[0]: PgType(*row[1:]) for row in rows}
        return self._known.get(oid, PgType(oid, 0, ",", False))

    def converter(self, oid: int) -> Convert:
        found = self[oid]
        if found.is_structured:
            return _text
        if found.element:
            return _array(_scalar(found.element), found.delimiter.encode())
        return _scalar(found.base)


def _scalar(oid: int) -> Convert:
    if oid in _NUMBERS:
        return _number
    if oid in _MOMENTS:
        return _moment
    if oid in (_JSON, _JSONB):
        return _json
    return _boolean if oid == _BOOLEAN else _text


def _text(value: bytes) -> bytes:
    return orjson.dumps(value.decode())


def _number(value: bytes) -> bytes:
    # NaN and Infinity are no numbers of JSON.
    return b'"%s"' % value if value[-1:] in b"Ny" else value


def _boolean(value: bytes) -> bytes:
    return b"true" if value == b"t" else b"false"


def _moment(value: bytes) -> bytes:
    text = value.replace(b" ", b"T", 1)
    return b'"%s:00"' % text if text.endswith(b"+00") else b'"%s"' % text


def _json(value: bytes) -> bytes:
    return value.replace(b"\n", b" ").replace(b"\r", b" ").replace(b"\t", b" ")


def _array(convert: Convert, delimiter: bytes) -> Convert:
    def array(value: bytes) -> bytes:
        # Bounds that do not begin with one are named before the braces.
        at = value.index(b"{")
        parts, _ = _elements(value, at + 1, convert, delimiter)
        return parts

    return array


def _elements(value: bytes, at: int, convert: Convert, delimiter: bytes) -> tuple[bytes, int]:
    """The array that begins at this place as JSON, and where it ends."""
    parts: list[bytes] = []
    while value[at : at + 1] != b"}":
        first = value[at : at + 1]
        if first == b"{":
            part, at = _elements(value, at + 1, convert, delimiter)
        elif first == b'"':
            start, at = at + 1, at + 1
            while value[at : at + 1] != b'"':
                at += 2 if value[at : at + 1] == b"\\" else 1
            part = convert(_without_escapes(value[start:at]))
            at += 1
        else:
            start = at
            while value[at : at + 1] not in (delimiter, b"}"):
                at += 1
            bare = value[start:at]
            part = b"null" if bare == b"NULL" else convert(bare)
        parts.append(part)
        if value[at : at + 1] == delimiter:
            at += 1
    return b"[" + b",".join(parts) + b"]", at + 1


def _without_escapes(value: bytes) -> bytes:
    if b"\\" not in value:
        return value
    out, at = bytearray(), 0
    while at < len(value):
        if value[at] == 92:
            at += 1
        out.append(value[at])
        at += 1
    return bytes(out)
