"""Retention as a run sees it: who still needs what has come, and what goes after a publish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from catalog.catalog import TOUCHED_PARTITIONS, Catalog
from ingestion.retention import planning, removal
from ingestion.retention.planning import Plan, Readers, has_policy
from ingestion.retention.protection import Protection, Reader
from orchestration.backfill_plan import standings
from quality import gate
from quality.gate_state import is_gated
from warehouse import retention
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.errors import SluiceError
from warehouse.settings import Settings
from warehouse.workshop import connect, writing


def protected_batches(settings: Settings, catalog: Catalog) -> list[Protection]:
    """Every reason beside those that the ledger itself knows."""
    return [
        *_below_no_open_gate(settings, catalog),
        *_for_pinned(settings),
        *_for_backfills(settings, catalog),
    ]


def plan(settings: Settings, catalog: Catalog, connection: Connection) -> Plan:
    return planning.plan(
        settings, connection, readers(catalog), protected_batches(settings, catalog)
    )


def retain(settings: Settings, catalog: Catalog, report: Callable[[str], None]) -> None:
    """Let go what may go (call it as the one writer). What goes wrong is told: the run is good."""
    if not has_policy(settings):
        return
    try:
        with closing(connect(settings)) as connection:
            found = plan(settings, catalog, connection)
            for each in removal.let_go(settings, connection, found):
                report(f"✓ retention: {each}")
    except SluiceError as error:
        report(f"✗ retention: {error}")


def retain_idly(settings: Settings, catalog: Catalog, report: Callable[[str], None]) -> None:
    """The same for a run that had nothing else to do."""
    if has_policy(settings):
        with writing(settings, "sluice run", waiting=report):
            retain(settings, catalog, report)


def readers(catalog: Catalog) -> Readers:
    """The models that read each raw table themselves."""
    return {
        f"{each.source}.{each.name}": [
            Reader(child.name, child.materialized == TOUCHED_PARTITIONS)
            for child in map(catalog.__getitem__, catalog.children[each.key])
        ]
        for each in catalog.layer("raw")
    }


def _below_no_open_gate(settings: Settings, catalog: Catalog) -> Iterator[Protection]:
    """While an incident is open, whoever mends it may have to load or build again."""
    gated = [key for key, each in catalog.datasets.items() if is_gated(each)]
    for key, state in gate.states(settings, gated).items():
        if not state.is_plainly_open:
            needed = {key, *catalog.ancestors(key)}
            entities = _received(catalog, needed)
            said = "opened by hand" if state.is_overridden else state.state
            said = "not judged yet" if said == "never" else said
            yield Protection(f"the gate of {key} is {said}", entities)


def _for_pinned(settings: Settings) -> Iterator[Protection]:
    """What a pinned snapshot was made of: somebody wants to be able to explain it."""
    for snapshot_id, pin in retention.pins(settings).items():
        if pin.holds(wall_clock()):
            yield Protection(
                f"snapshot {snapshot_id} is made of it, {pin}",
                loaded_until=retention.made_at(snapshot_id),
            )


def _for_backfills(settings: Settings, catalog: Catalog) -> Iterator[Protection]:
    """One that is under way reads again what it was planned on; so would the newest plan."""
    for number, each in enumerate(standings(settings)):
        if each.state == "under way" or (number == 0 and each.state == "planned"):
            known = [key for key in each.plan.datasets if key in catalog.datasets]
            needed = {above for key in known for above in (key, *catalog.ancestors(key))}
            because = f"backfill {each.plan.backfill_id} is {each.state}"
            yield Protection(because, _received(catalog, needed))


def _received(catalog: Catalog, keys: Iterable[str]) -> set[str]:
    """Of these datasets the raw ones, as contracts call them."""
    raw = [catalog[each] for each in keys if catalog[each].layer == "raw"]
    return {f"{each.source}.{each.name}" for each in raw}
