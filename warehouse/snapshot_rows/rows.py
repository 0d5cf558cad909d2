"""The rows of a published table: brought to what the workshop holds by writing what differs.

Nothing here takes a lock that a `select` would wait for: rows come and go by insert and delete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from warehouse import masks
from warehouse.connection import Connection, literal, named
from warehouse.errors import PublishError
from warehouse.snapshot_rows.books import SCHEMA, Shape
from warehouse.versions import Relation, hashable

FROM: Final = "_from"
TO: Final = "_to"
# VACUUM would lock readers out for a moment to give the end of the file back.
_KEPT: Final = "vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0.05"
_CHANGES: Final = "pg_temp._changes"


@dataclass(frozen=True)
class Written:
    added: int
    removed: int


def create(
    session: Connection,
    table: str,
    origin: Relation,
    number: int,
    masked: Sequence[str] = (),
    signature: str = "",
) -> tuple[Shape, int]:
    """New tables for rows of these columns, filled with the origin's; and how many they are."""
    names = [name for name, _ in origin.columns]
    taken = {name for name in names if name in (FROM, TO) or name.startswith("_mask_")}
    if taken:
        raise PublishError(
            f"{table} cannot be published: its column {taken.pop()} has a name that the published "
            "tables need.",
            remedy="Give the column another name.",
        )
    hidden = [name for name in names if name in masked]
    [shape_id] = session.execute(
        f"insert into {SCHEMA}._shapes select coalesce(max(shape), 0) + 1, ?, ?::text[], ?::text[],"
        f" ?::text[], ? from {SCHEMA}._shapes returning shape",
        [table, names, [kind for _, kind in origin.columns], hidden, signature],
    ).fetchone()
    shape = Shape(shape_id, table, origin.columns, number, tuple(hidden), signature)
    made = "".join(f", {_mask(name)} as {shape.mask_of(name)}" for name in shape.masked)
    session.execute(
        f"create table {shape.rows} with ({_KEPT}) as"
        f" select {shape.listed}{made}, {number}::bigint as {FROM} from {origin.name}"
    )
    session.execute(f"create table {shape.past} (like {shape.rows}, {TO} bigint)")
    [count] = session.execute(f"select count(*) from {shape.rows}").fetchone()
    session.execute(f"create index on {shape.rows} ({FROM})")
    session.execute(f"create index on {shape.past} ({TO})")
    return shape, int(count)


def _mask(name: str) -> str:
    """The session knows the key: no statement and no definition shows it."""
    return masks.expression(named(name), "postgres")


def drop(session: Connection, shape: Shape) -> None:
    session.execute(f"drop table {shape.rows}, {shape.past}")
    session.execute(f"delete from {SCHEMA}._shapes where shape = {shape.shape}")
    session.execute(f"delete from {SCHEMA}._lives where shape = {shape.shape}")


def index(session: Connection, shape: Shape, wanted: Iterable[Sequence[str]]) -> None:
    """Indexes by which consumers find rows; building one does not keep readers waiting."""
    known = {name for name, _ in shape.columns}
    named_so = {_index_name(shape, each): each for each in wanted if each and set(each) <= known}
    there = session.execute(
        "select indexname from pg_indexes where schemaname = ? and tablename = ?",
        [str(SCHEMA), shape.short],
    ).fetchall()
    for name in named_so.keys() - {found for (found,) in there}:
        columns = ", ".join(named(each) for each in named_so[name])
        session.execute(f"create index {named(name)} on {shape.rows} ({columns})")


def _index_name(shape: Shape, columns: Sequence[str]) -> str:
    return f"by_{shape.shape}_{hashlib.sha256(repr(tuple(columns)).encode()).hexdigest()[:12]}"


def bring(
    session: Connection,
    shape: Shape,
    origin: Relation,
    number: int,
    day: str = "",
    days: Sequence[date] = (),
) -> Written:
    """Make the shown rows those of the origin (of these days, if any are named).

    Both are taken as bags of rows; what only one of them holds is written, and nothing else.
    """
    among = ""
    if days:
        among = f" where {named(day)} in ({', '.join(f'date {literal(str(d))}' for d in days)})"
    _compare(session, shape, origin, among)
    [more, fewer, shown] = session.execute(
        f"select coalesce(sum(_more) filter (where _more > 0), 0),"
        f" coalesce(-sum(_more) filter (where _more < 0), 0),"
        f" (select count(*) from {shape.rows}{among}) from {_CHANGES}"
    ).fetchone()
    ordered = f" order by {named(day)}" if day else ""
    if fewer * 2 > shown and not among:
        # Then it is cheaper to write all of them than to find those that stay.
        removed = close(session, shape, "true", number)
        return Written(_add(session, shape, f"{origin.name}{ordered}", number), removed)
    removed = close(session, shape, f"ctid = any(array({_gone(session, shape, among)}))", number)
    if more:
        times = f"{_CHANGES}, generate_series(1, _more::bigint) where _more > 0{ordered}"
        _add(session, shape, times, number)
    return Written(int(more), removed)


def _compare(session: Connection, shape: Shape, origin: Relation, among: str) -> None:
    """What differs: each row with how many more of it the origin has; one place of it, if shown."""
    names = shape.listed
    compared = ", ".join(
        f"{hashable(session, *column)} as {named(column[0])}" for column in shape.columns
    )
    session.execute(f"drop table if exists {_CHANGES}")
    session.execute(
        f"create temp table _changes on commit drop as select {names}, sum(_side) as _more,"
        " count(_place) as _shown, max(_place) as _place from ("
        f" select {compared}, 1 as _side, null::tid as _place from {origin.name}{among}"
        f" union all select {compared}, -1, ctid from {shape.rows}{among}"
        f") as both_sides group by {names} having sum(_side) <> 0"
    )


def _gone(session: Connection, shape: Shape, among: str) -> str:
    """Where the rows are that the origin does not have; of several like it, as many as differ."""
    line = ", ".join(hashable(session, *column) for column in shape.columns)
    return (
        f"select _place from {_CHANGES} where _more < 0 and _shown = 1 union all"
        " select ctid from (select r.ctid, _more, row_number() over (partition by c.ctid) as nth"
        f" from (select ctid, row({line}) as line from {shape.rows}{among}) as r"
        f" inner join (select ctid, row({shape.listed}) as line, _more from {_CHANGES}"
        "  where _more < 0 and _shown > 1) as c on r.line = c.line) as alike where nth <= -_more"
    )


def _add(session: Connection, shape: Shape, origin: str, number: int) -> int:
    typed = ", ".join(
        [f"{named(name)}::{kind}" for name, kind in shape.columns]
        + [_mask(name) for name in shape.masked]
    )
    [count] = session.execute(
        f"with added as (insert into {shape.rows} ({shape.stored}, {FROM})"
        f" select {typed}, {number} from {origin} returning 1) select count(*) from added"
    ).fetchone()
    return int(count)


def close(session: Connection, shape: Shape, which: str, number: int) -> int:
    """Rows that are not shown any more, from this number on."""
    [count] = session.execute(
        f"with gone as (delete from {shape.rows} where {which} returning *),"
        f" kept as (insert into {shape.past} ({shape.stored}, {FROM}, {TO})"
        f" select {shape.stored}, {FROM}, {number} from gone returning 1)"
        " select count(*) from kept"
    ).fetchone()
    return int(count)


def back(session: Connection, shape: Shape, to: int, number: int) -> Written:
    """Show, from `number` on, the rows that were shown at `to`."""
    removed = close(session, shape, f"{FROM} > {to}", number)
    [added] = session.execute(
        f"with again as (insert into {shape.rows} ({shape.stored}, {FROM})"
        f" select {shape.stored}, {number} from {shape.past} where {_at(to)} returning 1)"
        " select count(*) from again"
    ).fetchone()
    return Written(int(added), removed)


def as_of(shape: Shape, number: int, listed: str = "") -> str:
    """The rows that were shown at a number: all columns, or those listed."""
    listed = listed or shape.listed
    return (
        f"select {listed} from {shape.rows} where {FROM} <= {number}"
        f" union all select {listed} from {shape.past} where {_at(number)}"
    )


def forget(session: Connection, shape: Shape, numbers: Iterable[int]) -> None:
    """Let go of past rows that none of these numbers shows."""
    kept = ", ".join(str(each) for each in sorted(numbers))
    session.execute(
        f"delete from {shape.past} where not exists (select 1 from unnest(array[{kept}]::bigint[])"
        f" as kept(number) where {FROM} <= number and number < {TO})"
    )


def _at(number: int) -> str:
    return f"{FROM} <= {number} and {TO} > {number}"
