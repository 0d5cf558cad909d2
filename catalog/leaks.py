"""What speaks against the project as it stands, in words: columns and metrics called too little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from catalog import classification, metric_classification, policy
from catalog.catalog import Catalog, load_catalog
from catalog.classification import Classification, Leak
from catalog.lineage import READERS, load_lineage, remember, remembered, state_of
from warehouse.errors import SluiceError
from warehouse.settings import Settings
from warehouse.words import some

# By state of the project, why its columns cannot be followed.
_unreadable: dict[str, SluiceError] = {}
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


@dataclass(frozen=True)
class KeptBack:
    """Why no publish takes a public dataset in, and what its columns are really to be called."""

    reason: str
    columns: Mapping[str, str]


def kept_back(settings: Settings) -> Mapping[str, KeptBack]:
    """The public datasets that are called too little, whether or not somebody asked
    `sluice check`. Found out once for each state of the project.
    """
    path = settings.dbt_target_path / "leaks.json"
    state = state_of(settings, [*READERS, "classification", "leaks"])
    known = remembered(path, state)
    if known is not None:
        return {key: KeptBack(**each) for key, each in known.items()}
    if state in _unreadable:
        raise _unreadable[state]
    # The project as its files are now, whatever a long-lived process began with.
    catalog = load_catalog(settings)
    try:
        found = called_too_little(Classification(catalog, load_lineage(settings, catalog)))
    except SluiceError as error:
        _unreadable[state] = error
        raise
    remember(path, state, {key: asdict(each) for key, each in found.items()})
    return found


def suspected(settings: Settings) -> Mapping[str, KeptBack]:
    """The same as far as the project can be read: what dbt cannot compile stops a publish, and
    neither a load nor a gate.
    """
    try:
        return kept_back(settings)
    except SluiceError:
        return {}


def called_too_little(classified: Classification) -> dict[str, KeptBack]:
    """By public dataset: a word that nobody knows, or a column below what reaches it."""
    catalog = classified.catalog
    said: dict[str, list[str]] = {each.key: [] for each in catalog.public()}
    columns: dict[str, dict[str, str]] = {
        each.key: {
            column.name.lower(): classification.PERSONAL
            for column in each.columns
            if column.classification not in classification.LEVELS
        }
        for each in catalog.public()
    }
    for key, what in classification.problems(catalog):
        if key in said:
            said[key].append(what)
    for leak in classified.leaks():
        if leak.dataset in said:
            said[leak.dataset].append(leak.what)
            columns[leak.dataset][leak.column] = leak.reaches
    return {
        key: KeptBack(f"its classification: {whats[0]}", columns[key])
        for key, whats in said.items()
        if whats
    }


def called_rightly(catalog: Catalog, found: Mapping[str, KeptBack]) -> Catalog:
    """These columns as they are to be called: what stays published stays masked."""
    if not found:
        return catalog
    datasets = {
        key: replace(
            each,
            columns=tuple(
                replace(column, classification=level) if level else column
                for column in each.columns
                for level in [found[key].columns.get(column.name.lower())]
            ),
        )
        if key in found
        else each
        for key, each in catalog.datasets.items()
    }
    return replace(catalog, datasets=datasets)


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
        more = f" (so {verb} {some(others, NAMED)})" if others else ""
        yield Problem(first.dataset, f"{first.what}{more}.", first.remedy)
