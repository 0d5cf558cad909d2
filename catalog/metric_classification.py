"""Classification of metrics: no dimension, entity or measure may show what is personal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.catalog import Catalog
from catalog.classification import PERSONAL, Classification, Step, rank

KINDS = ("dimensions", "entities", "measures")


@dataclass(frozen=True)
class Part:
    """A dimension, entity or measure of a semantic model, and what its expression is."""

    semantic_model: str
    kind: str
    name: str
    dataset: str
    level: str
    path: tuple[Step, ...]


def parts(classified: Classification, dialect: str) -> Iterator[Part]:
    catalog = classified.catalog
    for node in catalog.manifest.get("semantic_models", {}).values():
        keys = catalog.keys_by_unique_id
        for key in (keys[each] for each in node["depends_on"]["nodes"] if each in keys):
            for kind in KINDS:
                for part in node.get(kind) or ():
                    sql = str(part.get("expr") or part["name"])
                    level, path = classified.expression(key, sql, dialect)
                    yield Part(node["name"], kind, part["name"], key, level, path)


def of_metrics(classified: Classification, dialect: str) -> Mapping[str, str]:
    """By metric, the highest of its measures."""
    measures = {
        each.name: each.level for each in parts(classified, dialect) if each.kind == "measures"
    }
    nodes = classified.catalog.manifest.get("metrics", {})
    return {node["name"]: _of_metric(node, nodes, measures) for node in nodes.values()}


def problems(classified: Classification, dialect: str) -> Iterator[tuple[str, str, str]]:
    """By dataset: what is wrong, and what to do."""
    for part in parts(classified, dialect):
        if part.level == PERSONAL:
            way = " ← ".join(str(each) for each in part.path)
            yield (
                part.dataset,
                f"the {part.kind} of semantic model {part.semantic_model} show what is personal: "
                f"{part.name}, made of {way}",
                "Leave it out, or use a column that a macro of macros_lib has anonymised.",
            )
    for name, level in of_metrics(classified, dialect).items():
        declared = _declared(classified.catalog, name)
        if declared and rank(declared) < rank(level):
            yield (
                f"metric {name}",
                f"it is declared {declared}, and its measures are {level}",
                f"Declare it `classification: {level}`, or leave the declaration out.",
            )


def _of_metric(
    node: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], measures: Mapping[str, str]
) -> str:
    own = [measures.get(each["name"], PERSONAL) for each in _measures(node)]
    others = [
        _of_metric(nodes[each], nodes, measures)
        for each in node["depends_on"]["nodes"]
        if each in nodes
    ]
    return max([*own, *others], key=rank, default="public")


def _measures(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(node["type_params"].get("input_measures") or ())


def _declared(catalog: Catalog, name: str) -> str | None:
    for node in catalog.manifest.get("metrics", {}).values():
        if node["name"] == name:
            meta = (node.get("config") or {}).get("meta") or {}
            return str(meta["classification"]) if "classification" in meta else None
    return None
