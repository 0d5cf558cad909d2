"""What speaks against the project as it stands, in words: columns and metrics called too little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from catalog import classification, metric_classification, policy
from catalog.catalog import Catalog
from catalog.classification import Classification, Leak
from catalog.lineage import load_lineage
from warehouse.settings import Settings

# More columns than these are counted, not named.
NAMED = 6


@dataclass(frozen=True)
class Problem:
    dataset: str
    what: str
    remedy: str


def problems(settings: Settings, catalog: Catalog) -> Iterator[Problem]:
    """Nothing, or why the project as it stands must not be merged."""
    said = list(classification.problems(catalog))
    of_policy = policy.problems(catalog, policy.load_policy(settings))
    for dataset, what in (*said, *of_policy):
        yield Problem(dataset, f"{what}.", "Correct it in the YAML (docs/guides/rights.md).")
    if said:
        # What is written wrongly cannot be followed.
        return
    classified = Classification(catalog, load_lineage(settings, catalog))
    yield from _grouped(classified.leaks())
    for where, what, remedy in metric_classification.problems(classified, settings.target):
        yield Problem(where, f"{what}.", remedy)


def _grouped(leaks: Iterable[Leak]) -> Iterator[Problem]:
    """Columns of a dataset that the same thing reaches are one problem: one path shows it."""
    groups: dict[tuple[object, ...], list[Leak]] = {}
    for each in leaks:
        source = each.path[-1] if each.path else None
        how = each.path[1].how if len(each.path) > 1 else None
        groups.setdefault((each.dataset, each.reaches, source, how), []).append(each)
    for found in groups.values():
        first, others = found[0], [each.column for each in found[1:]]
        verb = "is" if len(others) == 1 else "are"
        more = f" (so {verb} {_named(others)})" if others else ""
        yield Problem(first.dataset, f"{first.what}{more}.", first.remedy)


def _named(columns: list[str]) -> str:
    rest = len(columns) - NAMED
    return ", ".join(columns[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
