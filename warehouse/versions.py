"""What a published table holds: enough to know, mostly without reading it, what has changed.

Three questions, the cheapest first: was the table built again at all (`build`), which days did
its builds touch (`touches`), are its rows other ones (`content`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from warehouse import masks, structure
from warehouse.connection import Connection, engine, named
from warehouse.schemas import Schema

TABLE = "published._versions"
BOOKS = Schema("platform")
MARKS = Schema("platform.published")
MASK = "VARCHAR"

Action = Literal["kept", "days", "whole"]

# Types that PostgreSQL cannot compare, or not hash: their text is compared.
WITHOUT_EQUALITY = frozenset([
    "json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "bit",
    "bit varying", "money", "tsvector", "tsquery",
])  # fmt: skip


@dataclass(frozen=True)
class Relation:
    """A table or view: its name in full, its columns with their types, which of them are masked.

    What is masked is text, whatever it was.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    masked: frozenset[str] = frozenset()

    @property
    def expressions(self) -> tuple[str, ...]:
        """What to select for each column."""
        return tuple(
            f"{masks.expression(named(name), 'duckdb')} as {named(name)}"
            if name in self.masked
            else named(name)
            for name, _ in self.columns
        )

    def with_masks(self, names: Collection[str]) -> Relation:
        """The same rows, with these columns masked (those of them that there are)."""
        masked = frozenset(name for name, _ in self.columns if name in names)
        columns = tuple((name, MASK if name in masked else kind) for name, kind in self.columns)
        return Relation(self.name, columns, masked)


@dataclass(frozen=True)
class Version:
    """`build`: the run that built and judged it. `written_in`: where its rows come from.

    `touches` is the last build of a table that rebuilds only touched days. `content` names columns,
    row count and rows as a bag; it is empty where nobody had to read the rows. `masks` says which
    columns are masked, and with which key.
    """

    build: str = ""
    touches: int | None = None
    content: str = ""
    written_in: str = ""
    masks: str = ""


@dataclass(frozen=True)
class Change:
    """What has to be done to a table of the previous snapshot, and what it holds afterwards."""

    action: Action
    version: Version
    days: tuple[date, ...] = ()


def workshop_knows(connection: Connection, snapshot_id: str) -> bool:
    """Did this workshop make the snapshot? One that was put back from a backup did not."""
    if not _exists(connection, str(MARKS)):
        return False
    found = connection.execute(
        f"select 1 from {MARKS} where snapshot_id = ?", [snapshot_id]
    ).fetchall()
    return bool(found)


def leave_mark(connection: Connection, snapshot_id: str) -> None:
    connection.execute(f"create schema if not exists {BOOKS}")
    connection.execute(f"create table if not exists {MARKS} (snapshot_id varchar)")
    connection.execute(f"insert into {MARKS} values (?)", [snapshot_id])


def last_touches(connection: Connection) -> dict[str, int]:
    """By model, the newest build that touched any of its days."""
    if not _exists(connection, f"{BOOKS}.touches"):
        return {}
    rows = connection.execute(
        f"select model, max(build_id) from {BOOKS}.touches group by model"
    ).fetchall()
    return dict(rows)


def contents(connection: Connection, tables: Mapping[str, str]) -> dict[str, str]:
    """By key, what tells a table's rows from other ones.

    Of a table that rebuilds only touched days, the last build that touched one; others are built
    whole, and reading them once more costs little beside that.
    """
    known, touches = relations(connection), last_touches(connection)
    found: dict[str, str] = {}
    for key, table in tables.items():
        build = touches.get(table.rpartition(".")[2])
        if table in known:
            found[key] = f"build {build}" if build else fingerprint(connection, known[table])
    return found


def change(
    connection: Connection,
    relation: Relation,
    published: Relation | None,
    now: Version,
    before: Version,
    *,
    partition_by: str,
    is_descendant: bool,
) -> Change:
    """Compare the workshop's relation with what the previous snapshot holds of it, if anything.

    Only a workshop that descends from the one that published (`is_descendant`) may be believed
    about builds and days: in a rebuilt one they begin anew.
    """
    is_other = published is None or relation.columns != published.columns
    if published is None or is_other or now.masks != before.masks:
        return Change("whole", replace(now, content=fingerprint(connection, relation)))
    if is_descendant and now.build and now.build == before.build:
        return Change("kept", before)
    if is_descendant and before.touches is not None and now.touches is not None and partition_by:
        if now.touches == before.touches:
            return Change("kept", replace(before, build=now.build))
        days = _touched_since(connection, relation.name, before.touches)
        if now.touches > before.touches and _are_few(
            connection, published.name, partition_by, days
        ):
            return Change("days", now, days)
    content = fingerprint(connection, relation)
    if content == before.content:
        return Change("kept", replace(before, build=now.build, touches=now.touches))
    return Change("whole", replace(now, content=content))


def _touched_since(connection: Connection, relation: str, build: int) -> tuple[date, ...]:
    model = relation.rpartition(".")[2].strip('"')
    rows = connection.execute(
        f"select distinct partition_on from {BOOKS}.touches where model = ? and build_id > ?"
        " order by partition_on",
        [model, build],
    ).fetchall()
    return tuple(day for (day,) in rows)


def _are_few(
    connection: Connection, published: str, partition_by: str, days: Sequence[date]
) -> bool:
    """Replacing most days leaves the table out of order; then it is cheaper to write it anew.

    On PostgreSQL only rows that differ are written, however many days are looked at, and counting
    days would mean to read all of the table.
    """
    if engine(connection) == "postgres":
        return True
    [[all_days]] = connection.execute(
        f'select count(distinct "{partition_by}") from {published}'
    ).fetchall()
    return len(days) * 2 <= int(all_days)


def fingerprint(connection: Connection, relation: Relation) -> str:
    """Columns, row count and rows as a bag, whatever their order."""
    listed = ", ".join(
        masks.expression(named(name), engine(connection))
        if name in relation.masked
        else hashable(connection, name, kind)
        for name, kind in relation.columns
    )
    total = (
        f"sum(hash({listed})::hugeint)"
        if engine(connection) == "duckdb"
        else f"sum(hash_record_extended(row({listed}), 0)::numeric)"
    )
    [[count, total]] = connection.execute(
        f"select count(*), coalesce({total}, 0) from {relation.name}"
    ).fetchall()
    shape = hashlib.sha256(repr(relation.columns).encode()).hexdigest()[:16]
    return f"{shape}:{count}:{total}"


def hashable(connection: Connection, name: str, kind: str) -> str:
    """A column as it can be compared."""
    base = kind.removesuffix("[]").partition("(")[0]
    as_text = engine(connection) == "postgres" and base in WITHOUT_EQUALITY
    return f"{named(name)}::text" if as_text else named(name)


def relations(connection: Connection, catalog: str = "") -> dict[str, Relation]:
    """Every table and view of a catalog (the workshop's unless named), all at one look."""
    prefix = f"{catalog}." if catalog else ""
    return {
        f"{schema}.{table}": Relation(
            f"{prefix}{named(schema)}.{named(table)}", tuple(columns.items())
        )
        for (schema, table), columns in structure.columns(connection, catalog).items()
    }


def signature(names: Collection[str], key: str) -> str:
    """Which columns are masked, and with which key; empty where none is."""
    return f"{masks.key_id(key)}:{','.join(sorted(names))}" if names else ""


def _exists(connection: Connection, table: str) -> bool:
    schema, _, name = table.partition(".")
    return structure.exists(connection, schema, name)
