"""dbt's data tests as asset checks: which test belongs to which dataset, under which name.

A test that compares several datasets runs with, and is shown at, the one that is built last.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.catalog import Catalog, Dataset
from orchestration.branches import Branch
from orchestration.check_words import described

if TYPE_CHECKING:
    import dagster as dg


@dataclass(frozen=True)
class DataTest:
    unique_id: str
    dataset: Dataset
    name: str
    description: str
    is_error: bool
    reads: frozenset[str] = frozenset()

    @property
    def spec(self) -> dg.AssetCheckSpec:
        import dagster as dg

        from orchestration.specs import asset_key

        return dg.AssetCheckSpec(
            self.name,
            asset=asset_key(self.dataset),
            description=self.description or None,
            blocking=self.is_error,
        )


def data_tests(catalog: Catalog, built: Sequence[Branch]) -> tuple[DataTest, ...]:
    """Every test of a built dataset; those of one name are numbered by dbt's ids."""
    step = {each.key: index for index, branch in enumerate(built) for each in branch.datasets}
    found: list[DataTest] = []
    taken: Counter[tuple[str, str]] = Counter()
    for unique_id, node in sorted(catalog.manifest["nodes"].items()):
        if node["resource_type"] != "test":
            continue
        attached = catalog.keys_by_unique_id.get(node.get("attached_node") or "")
        reads = {
            key
            for each in node["depends_on"]["nodes"]
            if (key := catalog.keys_by_unique_id.get(each)) in step
        }
        if not reads:
            continue
        # In the same step as its own dataset wherever that is the last one.
        last = max(reads, key=lambda key: (step[key], key == attached, key))
        name = _name(node)
        taken[last, name] += 1
        number = taken[last, name]
        found.append(
            DataTest(
                unique_id=unique_id,
                dataset=catalog[last],
                name=name if number == 1 else f"{name}_{number}",
                description=described(node, catalog.manifest["macros"]),
                is_error=str(node["config"].get("severity", "error")).lower() == "error",
                reads=frozenset(reads),
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
