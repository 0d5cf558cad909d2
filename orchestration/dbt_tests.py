"""dbt's data tests as asset checks: which test belongs to which dataset, under which name."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import dagster as dg

from catalog.catalog import Catalog, Dataset
from orchestration.specs import asset_key


@dataclass(frozen=True)
class DataTest:
    unique_id: str
    dataset: Dataset
    name: str
    description: str
    is_error: bool

    @property
    def spec(self) -> dg.AssetCheckSpec:
        return dg.AssetCheckSpec(
            self.name,
            asset=asset_key(self.dataset),
            description=self.description or None,
            blocking=self.is_error,
        )


def data_tests(catalog: Catalog) -> tuple[DataTest, ...]:
    """Every test that hangs on a dataset; those of one name are numbered by dbt's ids."""
    found: list[DataTest] = []
    taken: Counter[tuple[str, str]] = Counter()
    for unique_id, node in sorted(catalog.manifest["nodes"].items()):
        attached = catalog.keys_by_unique_id.get(node.get("attached_node") or "")
        if node["resource_type"] != "test" or attached is None:
            continue
        name = _name(node)
        taken[attached, name] += 1
        number = taken[attached, name]
        found.append(
            DataTest(
                unique_id=unique_id,
                dataset=catalog[attached],
                name=name if number == 1 else f"{name}_{number}",
                description=(node.get("description") or "").strip(),
                is_error=str(node["config"].get("severity", "error")).lower() == "error",
            )
        )
    return tuple(found)


def _name(node: dict[str, object]) -> str:
    metadata = node.get("test_metadata")
    if not isinstance(metadata, dict):
        return _identifier(str(node["name"]))
    column = node.get("column_name")
    return _identifier("_".join(str(each) for each in (metadata["name"], column) if each))


def _identifier(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")
