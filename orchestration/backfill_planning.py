"""What a backfill would do: which files and days, in which steps, and what is published again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date

from catalog.catalog import BUILT_LAYERS, TOUCHED_PARTITIONS, Catalog, Dataset, load_catalog
from ingestion.contracts import read_contracts
from ingestion.portions import portions, unfit
from orchestration.backfill_costs import Costs, costs, days_to_be, portioned, rows_by_day
from orchestration.backfill_plan import Plan, Step, log_plan, standings
from warehouse import builds
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.errors import SettingsError
from warehouse.settings import Settings
from warehouse.words import did_you_mean
from warehouse.workshop import connect, is_begun

_FOLLOWING = ("view", TOUCHED_PARTITIONS)


@dataclass(frozen=True)
class Asked:
    """What somebody wants done again."""

    source: str = ""
    model: str = ""
    change: bool = False
    entity: str = ""
    since: date | None = None
    until: date | None = None
    step: int | None = None

    def __str__(self) -> str:
        """As it is typed."""
        options = {
            "--source": self.source,
            "--model": self.model,
            "--entity": self.entity,
            "--from": self.since,
            "--to": self.until,
            "--step": self.step,
        }
        given = [f"{name} {value}" for name, value in options.items() if value]
        return " ".join([*given, *(["--change"] if self.change else [])])


@dataclass
class _Making:
    """A plan in the making."""

    settings: Settings
    catalog: Catalog
    connection: Connection
    asked: Asked
    costs: Costs
    builds: Mapping[str, builds.Build]
    reasons: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    @property
    def datasets(self) -> tuple[str, ...]:
        """All that it changes: what is asked for and everything that is made of it."""
        found = {each for key in self.reasons for each in (key, *self.catalog.descendants(key))}
        return self.catalog.in_order(found)

    def is_changed(self, key: str) -> bool:
        """Is it another definition than that from which the workshop's rows were made?"""
        known = self.builds.get(key)
        return known is None or known.definition != self.catalog.definitions[key]

    def touched(self, keys: Iterable[str]) -> list[Dataset]:
        found = (self.catalog[key] for key in self.catalog.in_order(keys))
        return [each for each in found if each.materialized == TOUCHED_PARTITIONS]


def make_plan(settings: Settings, asked: Asked) -> Plan | None:
    """Find it out and write it down; None where nothing differs. The caller is the one writer."""
    if not is_begun(settings):
        raise SettingsError(
            "Nothing was loaded yet, so there is nothing to do again.",
            remedy="`sluice run` loads and builds all that has landed.",
        )
    catalog = load_catalog(settings)
    with closing(connect(settings)) as connection:
        making = _Making(
            settings, catalog, connection, asked, costs(settings), builds.read(connection)
        )
        making.reasons |= _reasons(making)
        _must_not_be_about_platform(making)
        if not making.reasons:
            return None
        making.steps += _steps(making)
    keys = making.datasets
    plan = Plan(
        backfill_id=_new_id(settings),
        asked=str(asked),
        reasons=making.reasons,
        datasets=keys,
        published=tuple(sorted(catalog[key].name for key in keys if catalog[key].is_public)),
        steps=tuple(making.steps),
        definitions=definitions_of(catalog, keys),
        built=built_of(making.builds, keys),
    )
    log_plan(settings, plan)
    return plan


def definitions_of(catalog: Catalog, keys: Iterable[str]) -> str:
    """Changes with the definition of any of these."""
    return _digest((key, catalog.definitions.get(key)) for key in keys)


def built_of(known: Mapping[str, builds.Build], keys: Iterable[str]) -> str:
    """Changes when any of these is built from another definition."""
    return _digest((key, known[key].definition if key in known else None) for key in keys)


def _digest(parts: Iterable[object]) -> str:
    return hashlib.sha256(repr(list(parts)).encode()).hexdigest()[:16]


def _new_id(settings: Settings) -> str:
    """Named after its moment; two of one second are told apart."""
    moment = f"{wall_clock():%Y%m%d-%H%M%S}"
    taken = {each.plan.backfill_id for each in standings(settings)}
    others = (f"{moment}-{n}" for n in range(2, len(taken) + 3))
    return next(each for each in (moment, *others) if each not in taken)


def _reasons(making: _Making) -> dict[str, str]:
    asked, catalog = making.asked, making.catalog
    if asked.source:
        entities = _entities(making.settings, asked.source, asked.entity)
        return {f"raw.{asked.source}.{each}": "its files are read anew" for each in entities}
    if asked.model:
        dataset = catalog.find(asked.model.removeprefix("+"))
        if dataset.layer not in BUILT_LAYERS:
            raise SettingsError(
                f"{dataset.key} is no model.",
                remedy=f"`sluice backfill plan --source {dataset.source}` reads a source anew."
                if dataset.source
                else "Reference data is loaded whole: `sluice run --select layer:seeds`.",
            )
        above = catalog.ancestors(dataset.key) if asked.model.startswith("+") else ()
        found = [dataset.key, *(key for key in above if catalog[key].layer in BUILT_LAYERS)]
        return {key: "its rows are built anew" for key in catalog.in_order(found)}
    return {
        key: "it was never built" if key not in making.builds else "its definition has changed"
        for key in catalog.in_order(catalog.datasets)
        if making.is_changed(key) and not catalog[key].is_about_platform
    }


def _must_not_be_about_platform(making: _Making) -> None:
    about = [key for key in making.reasons if making.catalog[key].is_about_platform]
    if about:
        raise SettingsError(
            f"{about[0]} is about the platform itself: each step of a backfill would change it, "
            "and a backfill holds what it changes.",
            remedy="`sluice replay platform` reads the platform's log anew, `sluice run` then "
            "builds what is made of it, as it builds models whose definition has changed.",
        )


def _entities(settings: Settings, source: str, entity: str) -> tuple[str, ...]:
    known = read_contracts(settings)
    for name, among in ((source, known), (entity, known.get(source, {}))):
        if name and name not in among:
            raise SettingsError(
                f"There is no contract for {name!r}.{did_you_mean(name, among)}",
                remedy=f"There is one for {', '.join(sorted(among))}.",
            )
    return (entity,) if entity else tuple(known[source])


def _steps(making: _Making) -> Iterator[Step]:
    asked, catalog, keys = making.asked, making.catalog, making.datasets
    aside = _to_be_rebuilt_aside(making)
    behind = {key for each in aside for key in (each.key, *catalog.descendants(each.key))}
    following = {
        key for key in keys if catalog[key].materialized in _FOLLOWING and key not in behind
    }
    if asked.since or asked.until:
        _must_have_days(making, aside)
    sources: dict[str, list[str]] = {}
    for key in making.reasons:
        if catalog[key].layer == "raw":
            sources.setdefault(catalog[key].source, []).append(catalog[key].name)
    for source, entities in sources.items():
        yield from _of_source(making, source, entities, following)
    ready = {key for key in following if sources}
    yield from _in_place(making, following, ready, behind)
    yield from _aside(making, aside, ready)
    rest = [*keys, *(key for source in sources for key in _raw(catalog, source))]
    built = [key for key in keys if key not in following | behind and catalog[key].layer != "raw"]
    yield Step(
        "rest",
        "",
        count=len(keys),
        seconds=making.costs.of_builds(built),
        datasets=tuple(dict.fromkeys(rest)),
    )


def _to_be_rebuilt_aside(making: _Making) -> list[Dataset]:
    """Models of days whose definition has changed, and those that follow one of them."""
    found: dict[str, Dataset] = {}
    for each in making.touched(making.datasets):
        if making.is_changed(each.key) or making.catalog.ancestors(each.key) & found.keys():
            found[each.key] = each
    return list(found.values())


def _must_have_days(making: _Making, aside: list[Dataset]) -> None:
    if making.asked.model and not making.touched(making.reasons):
        raise SettingsError(
            f"{making.asked.model} is built whole, it has no days of its own.",
            remedy="Leave out --from and --to.",
        )
    if making.asked.model and aside:
        raise SettingsError(
            f"The definition of {aside[0].name} has changed: all of its days are to be built.",
            remedy="Leave out --from and --to.",
        )


def _of_source(
    making: _Making, source: str, entities: list[str], following: Collection[str]
) -> Iterator[Step]:
    asked, catalog = making.asked, making.catalog
    contracts = read_contracts(making.settings)[source]
    raw = _raw(catalog, source)
    below = {each for key in raw for each in catalog.descendants(key)}
    datasets = (*raw, *catalog.in_order(below & set(following)))
    why_not = [text for each in entities if (text := unfit(making.connection, contracts[each]))]
    found = portions(
        making.settings, making.connection, source, entities,
        since=asked.since, until=asked.until, size=asked.step,
    )  # fmt: skip
    if why_not:
        rows = sum(each.rows for each in found)
        yield Step(
            "replay", source, count=sum(each.files for each in found), rows=rows,
            seconds=making.costs.of_load(source, rows), datasets=datasets,
        )  # fmt: skip
        return
    for each in found:
        yield Step(
            "batches", source, each.first_on, each.last_on, each.files, each.rows,
            making.costs.of_load(source, each.rows), each.entities, (each.first, each.last),
            datasets,
        )  # fmt: skip


def _raw(catalog: Catalog, source: str) -> tuple[str, ...]:
    """A source is loaded, and judged, whole."""
    return tuple(each.key for each in catalog.layer("raw") if each.source == source)


def _before(making: _Making, model: Dataset, ready: set[str], but: Collection[str]) -> list[Step]:
    """One run for what a model reads and is to be built again, too, whole or as a view."""
    above = making.catalog.ancestors(model.key) & set(making.datasets)
    wanted = [
        key
        for key in making.catalog.in_order(above - ready - set(but))
        if making.catalog[key].layer != "raw"
    ]
    ready.update(wanted)
    seconds = making.costs.of_builds(wanted)
    return [Step("rest", model.key, count=len(wanted), seconds=seconds, datasets=tuple(wanted))][
        : len(wanted)
    ]


def _in_place(
    making: _Making, following: Collection[str], ready: set[str], behind: Collection[str]
) -> Iterator[Step]:
    """Days of models that are as they were defined; what reads them follows by itself."""
    asked, catalog = making.asked, making.catalog
    wanted = [each for each in making.touched(making.reasons) if each.key in following]
    for model in wanted:
        if catalog.ancestors(model.key) & {each.key for each in wanted}:
            continue
        yield from _before(making, model, ready, behind)
        held = rows_by_day(making.connection, model)
        days = [day for day in held if (asked.since or day) <= day <= (asked.until or day)]
        below = [model.key, *(catalog.descendants(model.key) & set(following))]
        for some, rows in portioned(days, held, asked.step):
            yield Step(
                "days", model.key, f"{some[0]}", f"{some[-1]}", len(some), rows,
                _together(making, below, some), datasets=catalog.in_order(below),
            )  # fmt: skip


def _together(making: _Making, keys: Iterable[str], days: Iterable[date]) -> float | None:
    """Building these days of all of these models."""
    found = 0.0
    wanted = set(days)
    for model in making.touched(keys):
        held = rows_by_day(making.connection, model)
        seconds = making.costs.of_days(model.key, sum(held.get(day, 0) for day in wanted))
        if seconds is None:
            return None
        found += seconds
    return found


def _aside(making: _Making, models: list[Dataset], ready: set[str]) -> Iterator[Step]:
    known: dict[str, frozenset[date]] = {}
    for model in models:
        yield from _before(making, model, ready, {each.key for each in models})
        days = days_to_be(making.catalog, making.connection, model, known)
        known[model.name] = days
        held = rows_by_day(making.connection, model)
        for some, count in portioned(days, held, making.asked.step):
            rows = count if held else None
            yield Step(
                "parts", model.key, f"{some[0]}", f"{some[-1]}", len(some), rows,
                making.costs.of_days(model.key, rows),
            )  # fmt: skip
        if days:
            yield Step("take", model.key, seconds=0.0, datasets=(model.key,))
