"""What a run of everything has to do: what is to be loaded or built, and what only judged again.

A dataset is due when its rows would be other ones if it were built now, or when nobody can be
sure that they would not. Its gate is due, besides, when its checks might answer otherwise. Each
comes with its reason; what has none is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from catalog.catalog import Catalog, Dataset
from quality import downstream
from quality.gate_state import GateState, is_gated
from warehouse.builds import Build

# How long a gate's last pass is taken for news: promises of freshness are of a day or more.
RENEWED_EVERY = timedelta(hours=1)
FOLLOWS = ", which is due"
"""So ends a reason that is another's consequence, and tells nobody why there is a run."""


@dataclass(frozen=True)
class Facts:
    """What is known at this moment; `quality/facts.py` gathers it."""

    states: Mapping[str, GateState]
    builds: Mapping[str, Build]
    tables: frozenset[str]
    last_day: date
    today: Mapping[str, date] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    """By source, what it waits to be loaded for."""
    newest: Mapping[str, int] = field(default_factory=dict)
    """By raw dataset, the newest batch in the ledger."""
    holes: frozenset[str] = frozenset()
    standards: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By dataset, what its checks and dbt tests read as well."""
    by_the_day: frozenset[str] = frozenset()
    freshness: Mapping[str, str] = field(default_factory=dict)
    """By dataset that promises to be fresh, what that check would say now."""
    kept_back: frozenset[str] = frozenset()
    """What calls its columns too little."""
    held: frozenset[str] = frozenset()
    """What a backfill has begun to change: it is due when that has ended."""

    def state(self, key: str) -> GateState:
        return self.states.get(key, GateState(key))

    def changed_at(self, dataset: Dataset) -> datetime | None:
        if is_gated(dataset):
            return self.state(dataset.key).changed_at
        build = self.builds.get(dataset.key)
        return build.built_at if build is not None else None


@dataclass(frozen=True)
class Due:
    """By dataset, why it is to be loaded or built, or why its gate alone is to be evaluated."""

    build: Mapping[str, str]
    judge: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.build or self.judge)

    @property
    def reasons(self) -> tuple[tuple[str, str], ...]:
        return (*self.build.items(), *self.judge.items())

    @property
    def keys(self) -> frozenset[str]:
        return frozenset((*self.build, *self.judge))


def due(catalog: Catalog, facts: Facts, keys: Iterable[str]) -> Due:
    """Of these datasets. What follows from a build that is still to come is not known yet, except
    among the keys themselves: what reads a due one of them is due as well.
    """
    wanted = [key for key in dict.fromkeys(keys) if key not in facts.held]
    build = {key: why for key in wanted if (why := why_build(catalog, facts, catalog[key]))}
    for key in wanted:
        if key not in build:
            above = sorted(catalog.ancestors(key) & build.keys())
            beside = sorted(_of_its_source(catalog, key) & build.keys())
            if above:
                build[key] = f"it reads {above[0]}{FOLLOWS}"
            elif beside:
                build[key] = f"it is loaded with {beside[0]}{FOLLOWS}"
    judge = {
        key: why
        for key in wanted
        if key not in build
        and is_gated(catalog[key])
        and (why := why_judge(catalog, facts, key) or _why_beside(facts, key, build))
    }
    return Due(build, judge)


def candidates(catalog: Catalog, facts: Facts, keys: Iterable[str], found: Due) -> frozenset[str]:
    """What a run may come to: all that is due, what reads it, and what is held against it."""
    wanted = set(keys) - facts.held
    reached = set(found.keys)
    for key in found.build:
        reached |= catalog.descendants(key)
    for key in wanted - reached:
        if facts.beside.get(key, frozenset()) & reached:
            reached.add(key)
    return frozenset(reached & wanted)


def holding(
    catalog: Catalog, facts: Facts, keys: Iterable[str], found: Due, now: datetime
) -> tuple[str, ...]:
    """Open gates of which nothing is due and nothing above is shut, and whose last pass is old."""
    return tuple(
        key
        for key in keys
        if key not in found.keys | facts.held
        and (passed := facts.state(key).passed_at) is not None
        and now - passed >= RENEWED_EVERY
        and not downstream.closed_upstream(catalog, facts.states, key)
    )


def why_build(catalog: Catalog, facts: Facts, dataset: Dataset) -> str:
    """Why its rows might be other ones now, or nothing."""
    key, state = dataset.key, facts.state(dataset.key)
    build = facts.builds.get(key)
    if dataset.source in facts.waiting:
        return facts.waiting[dataset.source]
    if dataset.relation not in facts.tables:
        return f"{dataset.relation} does not exist"
    if is_gated(dataset) and not (state.is_plainly_open or state.is_called_too_little):
        return f"its gate is {'opened by hand' if state.is_open else state.state}"
    if build is None:
        return "nobody knows from what it was built"
    if build.definition != catalog.definitions[key]:
        return "its definition has changed"
    if is_gated(dataset) and build.built_at != state.built_at:
        return "the workshop holds another build of it than the gates know"
    if dataset.layer == "raw" and facts.newest.get(key) != state.seen:
        return "its batches are other ones than those that were judged"
    if key in catalog.clocked and build.last_day != facts.last_day:
        return f"it was built for {build.last_day}, and the last day is {facts.last_day} now"
    if key in facts.holes:
        return "days of it are to be built anew"
    for parent in (catalog[each] for each in dataset.parents):
        changed = facts.changed_at(parent)
        if changed is not None and changed > build.built_at:
            return f"{parent.key} has changed"
    if downstream.newer_inputs(catalog, facts.states, key):
        return "what it reads is not up to date itself"
    return ""


def why_judge(catalog: Catalog, facts: Facts, key: str) -> str:
    """Why its checks might answer otherwise now, or nothing."""
    state = facts.state(key)
    if state.judged_at is None or state.judged_by != facts.standards.get(key, ""):
        return "its checks have changed"
    if key in facts.kept_back or state.is_called_too_little:
        return "how it calls its columns is to be judged"
    for other in sorted(facts.beside.get(key, ())):
        changed = facts.changed_at(catalog[other])
        if changed is not None and changed > state.judged_at:
            return f"it is held against {other}, which has changed"
    if key in facts.by_the_day and state.judged_on != facts.today.get(key):
        return "its checks go by the day"
    if key in facts.freshness and facts.freshness[key] != _freshness(state):
        return f"its freshness is {facts.freshness[key]} now"
    return ""


def _why_beside(facts: Facts, key: str, build: Mapping[str, str]) -> str:
    others = sorted(facts.beside.get(key, frozenset()) & build.keys())
    return f"it is held against {others[0]}{FOLLOWS}" if others else ""


def _freshness(state: GateState) -> str:
    return next((str(each["outcome"]) for each in state.checks if each["type"] == "freshness"), "")


def _of_its_source(catalog: Catalog, key: str) -> set[str]:
    """A source is loaded whole."""
    source = catalog[key].source
    if not source:
        return set()
    return {each.key for each in catalog.layer("raw") if each.source == source}
