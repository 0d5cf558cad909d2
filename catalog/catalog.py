"""What is known about every dataset: dbt's manifest as one small typed model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from catalog import definition
from warehouse.builds import Build
from warehouse.dbt import ensure_manifest
from warehouse.errors import SettingsError
from warehouse.platform_log import PLATFORM
from warehouse.settings import Settings
from warehouse.words import did_you_mean

LAYERS = ("seeds", "raw", "staging", "curated", "marts", "metrics")
TOUCHED_PARTITIONS = "touched_partitions"
"""How a model is materialized of which each build writes the days that were touched."""
BUILT_LAYERS = ("staging", "curated", "marts", "metrics")


@dataclass(frozen=True)
class Column:
    name: str
    data_type: str
    description: str
    classification: str
    required: bool = False
    aliases: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    """Of a JSON object in a source: the classification of fields that differ from the whole."""


@dataclass(frozen=True)
class Dataset:
    """A source's entity, a seed or a model; `key` names it everywhere (raw.billing.invoices)."""

    key: str
    unique_id: str
    layer: str
    schema: str
    name: str
    description: str
    owner: str
    tier: int
    classification: str
    columns: tuple[Column, ...]
    meta: Mapping[str, Any]
    tags: tuple[str, ...]
    is_public: bool
    materialized: str
    path: str
    parents: tuple[str, ...]
    sources: frozenset[str]
    partition_by: str = ""
    """The day of a table of which a build rebuilds only the touched days."""
    # Its times are real ones: the platform log's, whatever "now" the company's data lives in.
    has_wall_clock: bool = False

    @property
    def relation(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def source(self) -> str:
        """The source of a raw entity."""
        return self.key.split(".")[1] if self.layer == "raw" else ""

    @property
    def is_about_platform(self) -> bool:
        """Made of the platform's log alone: what the platform knows about itself."""
        return self.sources == frozenset([PLATFORM])

    @property
    def subject(self) -> str:
        """The folder below the layer: what the dataset is about."""
        parts = Path(self.path).parts
        return parts[2] if len(parts) > 3 else self.layer


@dataclass(frozen=True)
class Catalog:
    datasets: Mapping[str, Dataset]
    keys_by_unique_id: Mapping[str, str]
    manifest: Mapping[str, Any]

    def __getitem__(self, key: str) -> Dataset:
        return self.datasets[key]

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {key: [] for key in self.datasets}
        for dataset in self.datasets.values():
            for parent in dataset.parents:
                found[parent].append(dataset.key)
        return {key: tuple(children) for key, children in found.items()}

    @cached_property
    def tests(self) -> Mapping[str, tuple[str, ...]]:
        """The ids of the dbt tests that read each dataset."""
        found: dict[str, list[str]] = {}
        for unique_id, node in self.manifest.get("nodes", {}).items():
            if node["resource_type"] == "test":
                for key in self._keys_of(node):
                    found.setdefault(key, []).append(unique_id)
        return {key: tuple(ids) for key, ids in found.items()}

    @cached_property
    def metrics(self) -> Mapping[str, frozenset[str]]:
        """By metric, the public datasets that it reads, through semantic models and metrics."""
        return {
            node["name"]: frozenset(self._read_by(node))
            for node in self.manifest.get("metrics", {}).values()
        }

    @cached_property
    def definitions(self) -> Mapping[str, str]:
        """By dataset, what changes with anything that decides its rows, except its inputs."""
        return {
            key: definition.mark(self.node(each), self.manifest)
            for key, each in self.datasets.items()
        }

    @cached_property
    def clocked(self) -> frozenset[str]:
        """The datasets whose rows depend on what “now” is."""
        return frozenset(
            key
            for key, each in self.datasets.items()
            if definition.reads_clock(self.node(each), self.manifest)
        )

    def built(self, keys: Iterable[str], at: datetime, last_day: date) -> dict[str, Build]:
        """What the workshop is to remember of what was built of these."""
        return {key: Build(self.definitions[key], last_day, at) for key in keys}

    def metrics_reading(self, key: str) -> tuple[str, ...]:
        return tuple(name for name, reads in self.metrics.items() if key in reads)

    def node(self, dataset: Dataset) -> Mapping[str, Any]:
        """What dbt knows about the dataset."""
        kind = "sources" if dataset.layer == "raw" else "nodes"
        found: Mapping[str, Any] = self.manifest[kind][dataset.unique_id]
        return found

    def _read_by(self, node: Mapping[str, Any]) -> Iterator[str]:
        for unique_id in _parents(node):
            key = self.keys_by_unique_id.get(unique_id)
            if key is not None and self.datasets[key].is_public:
                yield key
            for kind in ("semantic_models", "metrics"):
                if unique_id in self.manifest.get(kind, {}):
                    yield from self._read_by(self.manifest[kind][unique_id])

    def _keys_of(self, node: Mapping[str, Any]) -> Iterator[str]:
        for unique_id in _parents(node):
            if unique_id in self.keys_by_unique_id:
                yield self.keys_by_unique_id[unique_id]

    def ancestors(self, key: str) -> frozenset[str]:
        return _reach([key], lambda each: self.datasets[each].parents)

    def descendants(self, key: str) -> frozenset[str]:
        return _reach([key], lambda each: self.children[each])

    def in_order(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Each after those of them that it reads."""
        return tuple(sorted(keys, key=lambda key: (len(self.ancestors(key)), key)))

    def layer(self, layer: str) -> tuple[Dataset, ...]:
        return tuple(each for each in self.datasets.values() if each.layer == layer)

    def public(self) -> tuple[Dataset, ...]:
        return tuple(each for each in self.datasets.values() if each.is_public)

    def named(self, name: str) -> Dataset | None:
        """By key, or by the bare name where only one dataset carries it."""
        if name in self.datasets:
            return self.datasets[name]
        found = [each for each in self.datasets.values() if each.name == name]
        return found[0] if len(found) == 1 else None

    def find(self, name: str) -> Dataset:
        """By key or bare name; a name that is wrong is answered with the nearest."""
        found = self.named(name)
        if found is None:
            raise SettingsError(
                f"No dataset is called {name!r}.{self.nearest(name)}",
                remedy="`sluice gate list` names them all.",
            )
        return found

    def nearest(self, name: str) -> str:
        if "." in name:
            return did_you_mean(name, self.datasets, 3)
        return did_you_mean(name, (each.name for each in self.datasets.values()), 3)


def load_catalog(settings: Settings) -> Catalog:
    path = ensure_manifest(settings)
    return _read(path, path.stat().st_mtime_ns)


def as_read_last(settings: Settings) -> Catalog | None:
    """Of a project that cannot be read now; None where it never was."""
    path = settings.manifest_path
    return _read(path, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(maxsize=4)
def _read(path: Path, _modified: int) -> Catalog:
    return from_manifest(json.loads(path.read_text()))


def from_manifest(manifest: Mapping[str, Any]) -> Catalog:
    nodes = {
        unique_id: node
        for unique_id, node in {**manifest["sources"], **manifest["nodes"]}.items()
        if node["resource_type"] in ("source", "model", "seed")
        and node["package_name"] == manifest["metadata"]["project_name"]
    }
    keys = {unique_id: _key(node) for unique_id, node in nodes.items()}
    sources: dict[str, frozenset[str]] = {}
    for unique_id in nodes:
        _sources(unique_id, nodes, sources)
    on_wall_clock = {
        str(node["source_name"])
        for node in manifest["sources"].values()
        if _meta(node).get("clock") == "wall"
    }
    datasets = {
        keys[unique_id]: _dataset(node, keys, sources[unique_id], on_wall_clock)
        for unique_id, node in sorted(nodes.items(), key=lambda item: keys[item[0]])
    }
    return Catalog(datasets, keys, manifest)


def _reach(start: Iterable[str], step: Any) -> frozenset[str]:
    seen: set[str] = set()
    queue = [each for key in start for each in step(key)]
    while queue:
        key = queue.pop()
        if key not in seen:
            seen.add(key)
            queue.extend(step(key))
    return frozenset(seen)


def _layer(node: Mapping[str, Any]) -> str:
    if node["resource_type"] == "source":
        return "raw"
    if node["resource_type"] == "seed":
        return "seeds"
    return str(node["fqn"][1])


def _key(node: Mapping[str, Any]) -> str:
    if node["resource_type"] == "source":
        return f"raw.{node['source_name']}.{node['name']}"
    return f"{_layer(node)}.{node['name']}"


def _sources(
    unique_id: str,
    nodes: Mapping[str, Mapping[str, Any]],
    found: dict[str, frozenset[str]],
) -> frozenset[str]:
    if unique_id not in found:
        node = nodes[unique_id]
        if node["resource_type"] == "source":
            found[unique_id] = frozenset([str(node["source_name"])])
        else:
            found[unique_id] = frozenset(
                source
                for parent in _parents(node)
                if parent in nodes
                for source in _sources(parent, nodes, found)
            )
    return found[unique_id]


def _parents(node: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(node.get("depends_on", {}).get("nodes", ()))


def _meta(node: Mapping[str, Any]) -> dict[str, Any]:
    meta = dict(node["config"].get("meta") or node.get("meta") or {})
    if node["resource_type"] == "source":
        meta = {**dict(node.get("source_meta") or {}), **meta}
    return meta


def _dataset(
    node: Mapping[str, Any],
    keys: Mapping[str, str],
    sources: frozenset[str],
    on_wall_clock: Set[str],
) -> Dataset:
    meta = _meta(node)
    classification = str(meta.get("classification", "internal"))
    return Dataset(
        key=keys[node["unique_id"]],
        unique_id=node["unique_id"],
        layer=_layer(node),
        schema=node["schema"],
        name=node.get("identifier") or node.get("alias") or node["name"],
        description=(node.get("description") or "").strip(),
        owner=str(meta.get("owner", "")),
        tier=int(meta.get("tier", 3)),
        classification=classification,
        columns=tuple(
            _column(each, classification if node["resource_type"] != "model" else "internal")
            for each in node["columns"].values()
        ),
        meta=meta,
        tags=tuple(node.get("tags") or ()),
        is_public=node["config"].get("access", node.get("access")) == "public",
        materialized=str(node["config"].get("materialized") or node["resource_type"]),
        path=node["original_file_path"],
        parents=tuple(sorted(keys[each] for each in _parents(node) if each in keys)),
        sources=sources,
        partition_by=str(node["config"].get("partition_by") or ""),
        has_wall_clock=bool(sources) and sources <= on_wall_clock,
    )


def _column(column: Mapping[str, Any], unmarked: str) -> Column:
    """A contract speaks for all of its columns but those it marks; a model marks each one."""
    config = column.get("config") or {}
    meta = {**dict(column.get("meta") or {}), **dict(config.get("meta") or {})}
    return Column(
        name=column["name"],
        data_type=column.get("data_type") or "",
        description=(column.get("description") or "").strip(),
        classification=str(meta.get("classification", unmarked)),
        required=bool(meta.get("required", False)),
        aliases=tuple(meta.get("aliases", ())),
        fields=dict(meta.get("fields") or {}),
    )
