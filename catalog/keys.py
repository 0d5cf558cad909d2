"""By which columns a dataset's rows are told apart, as its own dbt tests say."""

from __future__ import annotations

from typing import Any

from catalog.catalog import Catalog, Dataset

UNIQUE = "unique"
TOGETHER = "unique_combination"


def key(catalog: Catalog, dataset: Dataset) -> tuple[str, ...]:
    """The columns of its narrowest uniqueness test; none where nothing is tested so."""
    found = [
        columns
        for unique_id in catalog.tests.get(dataset.key, ())
        if (columns := _columns(catalog.manifest["nodes"][unique_id], dataset))
    ]
    return min(found, key=lambda each: (len(each), each), default=())


def indexes(dataset: Dataset) -> tuple[tuple[str, ...], ...]:
    """Further columns by which consumers look rows up: `meta.indexes`, a list of lists."""
    asked: Any = dataset.meta.get("indexes") or ()
    return tuple(
        (each,) if isinstance(each, str) else tuple(str(column) for column in each)
        for each in asked
    )


def _columns(test: Any, dataset: Dataset) -> tuple[str, ...]:
    said = test.get("test_metadata") or {}
    if test.get("attached_node") != dataset.unique_id:
        return ()
    if said.get("name") == UNIQUE:
        return (str(test["column_name"]),)
    if said.get("name") == TOGETHER:
        return tuple(str(each) for each in said["kwargs"]["columns"])
    return ()
