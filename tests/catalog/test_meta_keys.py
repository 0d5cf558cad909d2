"""A key of meta that is nearly one of ours is named; other people's keys are theirs."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import yaml
from small_project import project

from catalog.catalog import from_manifest
from catalog.meta_keys import OF_A_COLUMN, OF_A_DATASET, OF_A_METRIC, misspelt
from warehouse.project_files import PROJECT_ROOMS
from warehouse.settings import PROJECT_ROOT

ROOMS = ("cli", "orchestration", "serving", "quality", "ingestion", "catalog", "warehouse")
LISTS = {
    "datasets": ("sources", "tables", "models", "seeds"),
    "columns": ("columns",),
    "metrics": ("semantic_models", "metrics"),
}
THEIRS = {"colour": "red", "data_owner": "x", "retention_days": 9, "format_version": 2}


def test_a_misspelt_key_is_named_with_the_one_that_was_meant() -> None:
    manifest = project({})[0].manifest
    sources = {name: {**each} for name, each in manifest["sources"].items()}
    leads = sources["source.small.app.leads"]
    leads["config"] = {"meta": {"ownr": "growth", "tier": 2, "tierr": 1, **THEIRS}}
    email = {"name": "email", "config": {"meta": {"clasification": "personal", "required": True}}}
    leads["columns"] = {**leads["columns"], "email": email}
    mrr = {"name": "mrr", "config": {"meta": {"grain": ["month"], **THEIRS}}}
    found = from_manifest({**manifest, "sources": sources, "metrics": {"metric.small.mrr": mrr}})
    assert list(map(str, misspelt(found))) == [
        "raw.app.leads says `ownr`; did you mean `owner`?",
        "raw.app.leads.email says `clasification`; did you mean `classification`?",
        "the metric mrr says `grain`; did you mean `grains`?",
    ]


@cache
def documents() -> list[Any]:
    files = [file for room in PROJECT_ROOMS for file in (PROJECT_ROOT / room).rglob("*.yml")]
    return [yaml.load(file.read_text(), yaml.CSafeLoader) for file in files]


def yaml_says(of: str) -> set[str]:
    """The keys of meta in all YAML of the project: of datasets, of columns or of metrics."""
    return {key for document in documents() for key in _said(document, LISTS[of])}


def _said(node: Any, lists: Collection[str]) -> Iterator[str]:
    for name, inner in node.items() if isinstance(node, dict) else ():
        for each in inner if isinstance(inner, list) else ():
            if name in lists:
                yield from (each.get("config") or {}).get("meta") or each.get("meta") or {}
            yield from _said(each, lists)


def code_reads() -> set[str]:
    files = [file for room in ROOMS for file in (PROJECT_ROOT / room).rglob("*.py")]
    texts = [text for file in files if "meta" in (text := file.read_text())]
    return {key for text in texts for key in read_in(ast.parse(text))}


def read_in(tree: ast.Module) -> Iterator[str]:
    """What is asked of anything that holds meta: by a word, or by a constant of the module."""
    words = {
        getattr(name, "id", ""): each.value.value
        for each in tree.body
        if isinstance(each, ast.Assign | ast.AnnAssign) and isinstance(each.value, ast.Constant)
        for name in (each.targets if isinstance(each, ast.Assign) else [each.target])
    }
    for node in ast.walk(tree):
        asked: Any = None
        if isinstance(node, ast.Subscript) and _holds_meta(node.value):
            asked = node.slice
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get":
            asked = node.args[0] if _holds_meta(getattr(node.func, "value", node)) else None
        if asked is not None:
            yield asked.value if isinstance(asked, ast.Constant) else words[asked.id]


def _holds_meta(node: ast.expr) -> bool:
    """`meta`, `dataset.meta`, `its_meta`, `meta_of(node)`."""
    named = node.func if isinstance(node, ast.Call) else node
    name = getattr(named, "id", getattr(named, "attr", ""))
    return name.removesuffix("_of").endswith("meta")


def test_every_key_that_our_yaml_says_or_our_code_reads_is_known() -> None:
    read = code_reads()
    assert yaml_says("datasets") <= set(OF_A_DATASET)
    assert yaml_says("columns") <= set(OF_A_COLUMN)
    assert yaml_says("metrics") <= set(OF_A_METRIC)
    # And no key is known that nobody hears; `anonymises` is a macro's.
    assert read - {"anonymises"} == {*OF_A_DATASET, *OF_A_COLUMN, *OF_A_METRIC}
