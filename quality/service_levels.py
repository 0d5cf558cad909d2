"""What a dataset's YAML may promise below `service_level`, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from catalog.catalog import Catalog, Dataset
from quality.strict_yaml import nearest
from warehouse.errors import SluiceError

OBJECTIVES = ("freshness_objective", "completeness_objective", "pass_rate_objective")
KEYS = ("freshness_hours", "column", *OBJECTIVES)


class ServiceLevelError(SluiceError):
    """A promise that nobody would hold."""


def problems(catalog: Catalog) -> list[ServiceLevelError]:
    """Every fault of every promise: a misspelt one would be kept by nobody, without a word."""
    return [
        ServiceLevelError(
            f"{dataset.key}: {fault} ({dataset.path}).",
            remedy="docs/engineers.md says what a service level may promise.",
        )
        for dataset in catalog.datasets.values()
        if "service_level" in dataset.meta
        for fault in _faults(dataset, dataset.meta["service_level"])
    ]


def _faults(dataset: Dataset, level: object) -> Iterator[str]:
    if not isinstance(level, Mapping):
        yield f"`service_level` is {level!r}, and should be keys with values"
        return
    for key, value in level.items():
        if key not in KEYS:
            yield f"`{key}` is not a key of `service_level`{nearest(str(key), KEYS)}"
        elif key == "column":
            columns = [column.name for column in dataset.columns]
            if value not in columns:
                yield f"`{value}` is not a column of it{nearest(str(value), columns)}"
        elif not isinstance(value, int | float) or isinstance(value, bool):
            yield f"`{key}` must be a number, not {value!r}"
        elif key == "freshness_hours" and value <= 0:
            yield f"`{key}` must be above 0, not {value}"
        elif key in OBJECTIVES and not 0 < value <= 1:
            yield f"`{key}` is a share, above 0 and up to 1 (0.99), not {value}"
