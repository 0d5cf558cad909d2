"""Keys of `config.meta` that are nearly one of ours: what they say, nobody would hear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.catalog import Catalog
from warehouse.words import nearest

OF_A_DATASET = (
    "change_log", "classification", "clock", "connector", "delimiter", "format", "indexes", "key",
    "max_line_bytes", "on_drift", "owner", "retention", "row_policy", "service_level", "tier",
)  # fmt: skip
OF_A_COLUMN = ("aliases", "classification", "deprecated_on", "fields", "required")
OF_A_METRIC = (
    "classification", "composes", "dimensions", "grains", "owner", "requires", "tier", "unit",
)  # fmt: skip
SLIP = 0.8
"""So much alike are `ownr` and `owner`; `data_owner` and `retention_days` are their own words."""


@dataclass(frozen=True)
class Misspelt:
    where: str
    key: str
    meant: str

    def __str__(self) -> str:
        return f"{self.where} says `{self.key}`; did you mean `{self.meant}`?"


def misspelt(catalog: Catalog) -> Iterator[Misspelt]:
    """Other keys are other people's, and none of our business."""
    for dataset in catalog.datasets.values():
        yield from _near(dataset.key, dataset.meta, OF_A_DATASET)
        for name, column in catalog.node(dataset)["columns"].items():
            meta = (column.get("config") or {}).get("meta") or {}
            yield from _near(f"{dataset.key}.{name}", meta, OF_A_COLUMN)
    for metric in catalog.manifest.get("metrics", {}).values():
        meta = metric["config"].get("meta") or {}
        yield from _near(f"the metric {metric['name']}", meta, OF_A_METRIC)


def _near(where: str, meta: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[Misspelt]:
    absent = [each for each in known if each not in meta]
    for key in meta:
        meant = [] if key in known else nearest(key, absent, least=SLIP)
        if meant:
            yield Misspelt(where, key, meant[0])
