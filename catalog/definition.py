"""What decides a dataset's rows, besides its inputs: its code, the macros in it, its contract."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from warehouse.settings import PROJECT_ROOT

Node = Mapping[str, Any]
Manifest = Mapping[str, Any]

# What is said about a dataset, and does not change a row of it.
SAID_ABOUT = ("meta", "tags", "docs", "access", "group", "persist_docs", "grants")
SAID_ABOUT_SOURCE = ("owner", "tier", "classification", "service_level")
CLOCK = "as_of_instant"
"""The macro through which every other one learns what “now” is."""


def mark(node: Node, manifest: Manifest) -> str:
    """Changes with anything that decides what the node's code gives."""
    config = {key: value for key, value in node["config"].items() if key not in SAID_ABOUT}
    columns = [_column(name, each) for name, each in sorted(node["columns"].items())]
    parts = (
        (node.get("checksum") or {}).get("checksum"),
        # A test has no file of its own: its code and what it was given are its definition.
        node.get("raw_code") if node["resource_type"] == "test" else None,
        repr(node.get("test_metadata")),
        repr(sorted(config.items(), key=str)),
        (node.get("contract") or {}).get("checksum"),
        repr(columns),
        repr(_promises(node)) if node["resource_type"] == "source" else None,
        [manifest["macros"][each]["macro_sql"] for each in sorted(_own_macros(node, manifest))],
        _variables(),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def reads_clock(node: Node, manifest: Manifest) -> bool:
    """Would another “now” give other rows? By the macros that its code calls."""
    return any(each.endswith(CLOCK) for each in macros_of(node, manifest))


def macros_of(node: Node, manifest: Manifest) -> frozenset[str]:
    """Every macro that the node's code calls, through however many others."""
    seen: set[str] = set()
    queue = [*node.get("depends_on", {}).get("macros", ()), *_materialization(node, manifest)]
    while queue:
        macro = queue.pop()
        if macro not in seen and macro in manifest["macros"]:
            seen.add(macro)
            queue.extend(manifest["macros"][macro]["depends_on"]["macros"])
    return frozenset(seen)


def _own_macros(node: Node, manifest: Manifest) -> Iterator[str]:
    """Of these the project's own: dbt's come with its version."""
    project = manifest["metadata"]["project_name"]
    for each in macros_of(node, manifest):
        if manifest["macros"][each]["package_name"] == project:
            yield each


def _materialization(node: Node, manifest: Manifest) -> Iterator[str]:
    """dbt finds it by its name: nothing in the node says that it depends on it."""
    wanted = f".materialization_{node['config'].get('materialized')}_"
    return (each for each in manifest["macros"] if wanted in each)


def _promises(node: Node) -> list[tuple[str, Any]]:
    """What a source's contract says beside its columns."""
    meta = {**(node.get("source_meta") or {}), **(node.get("meta") or {})}
    meta |= node["config"].get("meta") or {}
    return sorted((key, value) for key, value in meta.items() if key not in SAID_ABOUT_SOURCE)


def _column(name: str, column: Mapping[str, Any]) -> tuple[object, ...]:
    meta = {**(column.get("meta") or {}), **((column.get("config") or {}).get("meta") or {})}
    return (
        name,
        column.get("data_type"),
        bool(meta.get("required")),
        tuple(meta.get("aliases") or ()),
        repr(column.get("constraints") or ()),
    )


@cache
def _variables() -> str:
    """dbt_project.yml's `vars`, which any code may read; the manifest does not hold them."""
    project = yaml.safe_load((PROJECT_ROOT / "dbt_project" / "dbt_project.yml").read_text())
    return repr(project.get("vars"))
