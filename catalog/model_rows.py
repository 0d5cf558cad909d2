"""A new model before it is built: does its key hold, and which true rows show what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from catalog.model_blueprint import Blueprint, Parent
from catalog.model_text import Rows, shown_columns
from warehouse.connection import Connection, named
from warehouse.errors import SluiceError
from warehouse.structure import exists

EXAMPLES: Final = 2


def is_buildable(made: Blueprint, connection: Connection) -> bool:
    """Are its parents there to be read?"""
    return all(exists(connection, each.dataset.schema, each.dataset.name) for each in made.parents)


def query_of(made: Blueprint) -> str:
    """What it will select, on the tables as they are."""
    first, *others = made.parents
    names = [f"{p.alias}.{named(column.name)}" for p in made.parents for column in p.columns]
    joins = [f" left join {each.dataset.relation} as {each.alias} on " + " and ".join(
        f"{first.alias}.{key} = {each.alias}.{key}" for key in each.joined_by
    ) for each in others]  # fmt: skip
    read = f"{first.dataset.relation} as {first.alias}{''.join(joins)}"
    return f"(select {', '.join(names)} from {read})"


def refuse_repeated_key(made: Blueprint, connection: Connection) -> None:
    key = ", ".join(named(each) for each in made.key)
    [repeated] = connection.execute(
        f"select count(*) from (select 1 from {query_of(made)} as made"
        f" group by {key} having count(*) > 1) as repeated"
    ).fetchone()
    if repeated:
        raise SluiceError(
            f"{', '.join(made.key)} is no key of {made.name}: {repeated:,} of them are there "
            "more than once.",
            remedy="Name what tells its rows apart with --key.",
        )


def true_rows(made: Blueprint, connection: Connection) -> Rows:
    """A few rows of the first parent, and of the others those that belong to them."""
    first, *others = made.parents
    found = {first.dataset.key: _rows(made, first, connection, [])}
    for each in others:
        wanted = [{key: row[key] for key in each.joined_by} for row in found[first.dataset.key]
                  if all(row.get(key) is not None for key in each.joined_by)]  # fmt: skip
        found[each.dataset.key] = _rows(made, each, connection, wanted) if wanted else []
    return found


def _rows(
    made: Blueprint, parent: Parent, connection: Connection, only: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    names = shown_columns(made, parent)
    if not names:
        return []
    alike = [" and ".join(f"{named(key)} = ?" for key in each) for each in only]
    where = f" where {' or '.join(f'({each})' for each in alike)}" if alike else ""
    rows = connection.execute(
        f"select {', '.join(map(named, names))} from {parent.dataset.relation}{where}"
        f" order by {', '.join(str(number + 1) for number in range(len(names)))} limit {EXAMPLES}",
        [value for each in only for value in each.values()],
    ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]
