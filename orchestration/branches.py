"""Which datasets are built together: one step per layer and set of root sources.

A closed gate stops the steps that read from it. Datasets that share their sources share that
fate, so they share a step; datasets of other sources are in steps of their own and go on. Along
the lineage the set of sources only grows, so the steps never depend on each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from catalog.catalog import BUILT_LAYERS, Catalog, Dataset


@dataclass(frozen=True)
class Branch:
    layer: str
    sources: tuple[str, ...]
    datasets: tuple[Dataset, ...]

    @property
    def name(self) -> str:
        return "_".join((self.layer, *self.sources)) if self.sources else f"{self.layer}_reference"


def branches(catalog: Catalog) -> tuple[Branch, ...]:
    return tuple(
        branch for layer in BUILT_LAYERS for branch in _by_sources(layer, catalog.layer(layer))
    )


def sources(catalog: Catalog) -> tuple[Branch, ...]:
    """One branch per source: its entities are loaded, and shut, together."""
    return _by_sources("raw", catalog.layer("raw"))


def _by_sources(layer: str, datasets: Iterable[Dataset]) -> tuple[Branch, ...]:
    found: dict[tuple[str, ...], list[Dataset]] = {}
    for dataset in datasets:
        found.setdefault(tuple(sorted(dataset.sources)), []).append(dataset)
    return tuple(
        Branch(layer, names, tuple(members))
        for names, members in sorted(found.items(), key=lambda item: (len(item[0]), item[0]))
    )
