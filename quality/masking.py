"""What may be shown of a row: personal values never, whatever asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from catalog.catalog import Catalog, Dataset
from quality import sql_names

PERSONAL = "personal"
HIDDEN = "***"
LONGEST = 80
# Unknown columns of a source end up there; nobody has said what they are.
UNDECLARED = "_extra"


def is_personal(dataset: Dataset, column: str) -> bool:
    return column in personal_columns(dataset)


def personal_columns(dataset: Dataset) -> frozenset[str]:
    """Those marked so; every one of a personal dataset that marks none."""
    marked = {each.name for each in dataset.columns if each.classification == PERSONAL}
    if not marked and dataset.classification == PERSONAL:
        marked = {each.name for each in dataset.columns}
    return frozenset(marked | {UNDECLARED} if dataset.layer == "raw" else marked)


def masked_in_query(catalog: Catalog, query: str, names: Iterable[str]) -> frozenset[str]:
    """Which columns of a query's result must be masked.

    A query that names no personal column of what it reads can show none, unless it says `*`.
    One that names some may have renamed it, so nothing of it is shown.
    """
    names = list(names)
    mentioned = sql_names.mentions(query)
    if mentioned is None:
        return frozenset(names)
    by_relation = {each.relation: each for each in catalog.datasets.values()}
    tables = sql_names.tables_of(query)
    if not tables <= by_relation.keys():
        return frozenset(names)
    personal = {
        column.lower() for table in tables for column in personal_columns(by_relation[table])
    }
    words, has_star = mentioned
    if personal & words:
        return frozenset(names)
    return frozenset(name for name in names if has_star and name.lower() in personal)


def shown_row(row: Mapping[str, Any], masked: Iterable[str]) -> dict[str, str | None]:
    hidden = set(masked)
    return {
        name: mask(value) if name in hidden or isinstance(value, dict | list) else plain(value)
        for name, value in row.items()
    }


def mask(value: Any) -> str | None:
    """The first letter of a text, nothing of anything else."""
    if value is None:
        return None
    return f"{value[0]}{HIDDEN}" if isinstance(value, str) and value else HIDDEN


def plain(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
