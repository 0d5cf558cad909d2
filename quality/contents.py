"""What tells a dataset's rows from other ones, so that a gate knows whether they changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from catalog.catalog import Catalog, Dataset
from warehouse import versions
from warehouse.connection import Connection


def contents(
    catalog: Catalog, connection: Connection, datasets: Iterable[Dataset]
) -> dict[str, str]:
    """By key, of everything but raw. A view has no rows of its own: its definition and what it
    reads say what it shows, and reading the whole history through it would cost more each day.
    """
    known = [each for each in datasets if each.layer != "raw"]
    views = {each.key: _tables_under(catalog, each) for each in known}
    keys = {each.key for each in known if not views[each.key]}.union(*views.values())
    found = versions.contents(connection, {key: catalog[key].relation for key in keys})
    for key, tables in views.items():
        if tables and tables <= found.keys():
            found[key] = _of_view(catalog, key, {each: found[each] for each in sorted(tables)})
    return {each.key: found[each.key] for each in known if each.key in found}


def _tables_under(catalog: Catalog, dataset: Dataset) -> frozenset[str]:
    """The tables that decide a view's rows; none where something else has a say as well: a clock,
    raw (of which nobody notes what it holds), another view.
    """
    parents = [catalog[each] for each in dataset.parents]
    if (
        dataset.materialized != "view"
        or not catalog.manifest
        or dataset.key in catalog.clocked
        or any(each.layer == "raw" or each.materialized == "view" for each in parents)
    ):
        return frozenset()
    return frozenset(each.key for each in parents)


def _of_view(catalog: Catalog, key: str, tables: Mapping[str, str]) -> str:
    parts = repr((catalog.definitions[key], tables))
    return f"view {hashlib.sha256(parts.encode()).hexdigest()[:16]}"
