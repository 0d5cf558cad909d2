"""Whom a change of a contract reaches: datasets, metrics, and the teams that own them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from catalog.catalog import Catalog
from catalog.lineage import REST, Lineage, in_order
from catalog.taint import Ref
from ingestion.contracting.comparing import Difference
from ingestion.contracting.rules import RULES


@dataclass(frozen=True)
class Reach:
    """What is downstream of a change."""

    datasets: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A difference and whom it reaches."""

    difference: Difference
    reach: Reach


def judged(
    catalog: Catalog, lineage: Lineage, differences: Iterable[Difference]
) -> tuple[Judged, ...]:
    """Each with its reach; what is dropped with notice must have no reader any more."""
    return tuple(
        Judged(each, reach_of(catalog, lineage, each))
        for each in (_if_still_read(catalog, difference) for difference in differences)
    )


def _if_still_read(catalog: Catalog, difference: Difference) -> Difference:
    if difference.rule.key != "column_dropped_deprecated":
        return difference
    key = f"raw.{difference.entity}"
    if not _naming(catalog, key, [difference.column]):
        return difference
    return replace(difference, rule=RULES["column_dropped_still_read"])


def reach_of(catalog: Catalog, lineage: Lineage, difference: Difference) -> Reach:
    """Of a column what it flows into; of an entity everything that is made of it."""
    key = f"raw.{difference.entity}"
    if key not in catalog.datasets:
        # It is new, or gone from the project that is proposed.
        return Reach()
    if difference.rule.key.startswith(("column_added", "table_added")):
        return Reach()
    datasets = set(catalog.descendants(key))
    if difference.column:
        # A renamed column may be read under either name.
        names = [difference.column, *([difference.was] if _is_name(difference.was) else [])]
        datasets = _made_of(catalog, lineage, key, names)
    owners = {catalog[each].owner for each in datasets} - {""}
    metrics = {name for each in datasets for name in catalog.metrics_reading(each)}
    return Reach(catalog.in_order(datasets), tuple(sorted(metrics)), tuple(sorted(owners)))


def _is_name(text: str) -> bool:
    return bool(re.fullmatch(r"[a-z][a-z0-9_]*", text))


def _made_of(catalog: Catalog, lineage: Lineage, key: str, names: Iterable[str]) -> set[str]:
    """By column lineage; a column that the project does not name any more, by the models' words."""
    known = {each.name for each in catalog[key].columns}
    reached = {Ref(key, name) for name in names if name in known}
    found: set[str] = set()
    for model in _naming(catalog, key, [name for name in names if name not in known]):
        found |= {model, *catalog.descendants(model)}
    for dataset in in_order(catalog):
        flow = lineage.get(dataset.key)
        if flow is None:
            continue
        for column, taint in (*flow.columns.items(), (REST, flow.rest or {})):
            if any(Ref(ref.dataset, ref.column) in reached for ref in taint):
                reached.add(Ref(dataset.key, column))
                found.add(dataset.key)
    return found


def _naming(catalog: Catalog, key: str, names: Iterable[str]) -> list[str]:
    """Models that read this entity and whose SQL says one of these words."""
    words = [re.compile(rf"\b{re.escape(name)}\b") for name in names]
    return [
        child
        for child in catalog.children[key]
        if any(word.search(str(catalog.node(catalog[child]).get("raw_code"))) for word in words)
    ]


def by_owner(found: Iterable[Judged]) -> Mapping[str, tuple[str, ...]]:
    """By team, the changes that reach it."""
    owners: dict[str, list[str]] = {}
    for each in found:
        for owner in each.reach.owners:
            owners.setdefault(owner, []).append(str(each.difference))
    return {owner: tuple(changes) for owner, changes in sorted(owners.items())}
