"""What a gate holds its dataset against, seen from outside: has it changed, what else does it read?

Read from the text of the check files, so that asking costs next to nothing. It rather names a
dataset too many: then a gate is evaluated once more than it had to be.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from catalog import definition
from catalog.catalog import Catalog, Dataset
from quality.checks import CHECKS_DIR, check_path

# Whose answer may be another one tomorrow, although no row has changed.
BY_THE_DAY = ("change_over_time", "anomaly", "AS_OF", "observe_only")
_NAME = re.compile(r"\b[a-z_]+\.[a-z0-9_]+(?:\.[a-z0-9_]+)?\b")


def mark(catalog: Catalog, dataset: Dataset, folder: Path = CHECKS_DIR) -> str:
    """Changes with the dataset's check file, its dbt tests and what its YAML promises."""
    parts = (
        text(dataset, folder),
        repr(dataset.meta.get("service_level")),
        repr([(each.name, each.data_type) for each in dataset.columns]),
        dataset.is_public,
        [
            definition.mark(catalog.manifest["nodes"][each], catalog.manifest)
            for each in sorted(catalog.tests.get(dataset.key, ()))
        ]
        if catalog.manifest
        else [],
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def text(dataset: Dataset, folder: Path = CHECKS_DIR) -> str:
    try:
        return check_path(dataset, folder).read_text()
    except FileNotFoundError:
        return ""


def goes_by_the_day(checks: str) -> bool:
    return any(word in checks for word in BY_THE_DAY)


def named_in(checks: str, keys: Mapping[str, str]) -> frozenset[str]:
    """The datasets that a check file names, by their keys or as SQL does."""
    return frozenset(keys[each] for each in _NAME.findall(checks) if each in keys)


def keys_by_name(catalog: Catalog) -> Mapping[str, str]:
    """Under each of its names, a dataset's key."""
    return {name: key for key, each in catalog.datasets.items() for name in (key, each.relation)}
