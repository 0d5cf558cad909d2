"""What follows from the gates' states: what may be built, what a publish shows of each table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from catalog import keys
from catalog.catalog import Catalog
from catalog.classification import personal_columns
from catalog.leaks import KeptBack, called_rightly
from quality.gate_state import GATED_LAYERS, GateState, is_gated
from warehouse.backfills import Hold
from warehouse.publish import PublicTable
from warehouse.snapshots import PublicColumn

OUTRUN = "older than what it reads"


def closed_upstream(
    catalog: Catalog, states: Mapping[str, GateState], key: str
) -> tuple[GateState, ...]:
    """The gates above a dataset that are not open, nearest to the sources first. What is only
    called too little is right, and each dataset below is asked by itself how it calls its columns.
    """
    found = [
        states.get(each, GateState(each))
        for each in catalog.ancestors(key)
        if is_gated(catalog[each])
    ]
    order = {layer: index for index, layer in enumerate(GATED_LAYERS)}
    return tuple(
        sorted(
            (state for state in found if not (state.is_open or state.is_called_too_little)),
            key=lambda state: (order[catalog[state.key].layer], state.key),
        )
    )


def buildable(
    catalog: Catalog,
    states: Mapping[str, GateState],
    keys: Iterable[str],
    held: Mapping[str, Hold] | None = None,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which of the keys may be built, and why the others may not: a gate, or a backfill's hold.

    A closed ancestor that is built in the same step does not withhold its children: within a
    layer dbt's tests stop them, and what they hold is not published until the ancestor opens.
    """
    wanted = list(dict.fromkeys(keys))
    shut = {key: closed_upstream(catalog, states, key) for key in wanted}
    withheld = {key: str(hold) for key, hold in (held or {}).items() if key in wanted}
    while True:
        together = set(wanted) - withheld.keys()
        found = {
            key: next(state for state in shut[key] if state.key not in together)
            for key in together
            if any(state.key not in together for state in shut[key])
        }
        if not found:
            return tuple(key for key in wanted if key in together), withheld
        for key, state in found.items():
            withheld[key] = withheld.get(state.key) or _blame(state)


def publish_plan(
    catalog: Catalog,
    states: Mapping[str, GateState],
    kept_back: Mapping[str, KeptBack],
    held: Mapping[str, Hold] | None = None,
) -> tuple[PublicTable, ...]:
    """Every public dataset, fresh where its own gate and all above it are open, none above it
    was built after it, no backfill that has begun still changes it, and nothing else keeps it back
    (catalog.leaks knows what does).
    """
    tables: list[PublicTable] = []
    for dataset in called_rightly(catalog, kept_back).public():
        own = states.get(dataset.key, GateState(dataset.key))
        shut = closed_upstream(catalog, states, dataset.key)
        if is_gated(dataset) and not own.is_open:
            shut = (*shut, own)
        hold = (held or {}).get(dataset.key)
        newer = newer_inputs(catalog, states, dataset.key) if not shut and hold is None else ()
        since = [each.closed_since or each.since for each in shut]
        since += [each.changed_at for each in newer]
        since += [hold.since] if hold is not None else []
        known = [each for each in since if each is not None]
        reasons = [kept_back[dataset.key].reason] if dataset.key in kept_back else []
        # Its own gate says that once more.
        reasons += [
            _blame(each) for each in shut[:3] if not (reasons and each.is_called_too_little)
        ]
        reasons += [str(hold)] if hold is not None else []
        tables.append(
            PublicTable(
                name=dataset.name,
                relation=dataset.relation,
                fresh=not reasons and not newer,
                reason="; ".join(reasons) or _outrun(newer),
                since=min(known) if known else None,
                owner=dataset.owner,
                tier=dataset.tier,
                classification=dataset.classification,
                description=dataset.description,
                columns=tuple(
                    PublicColumn(column.name, column.description) for column in dataset.columns
                ),
                # A view follows what it reads without being built.
                build="" if dataset.materialized == "view" else own.built_by or own.run_id,
                partition_by=dataset.partition_by,
                key=keys.key(catalog, dataset),
                indexes=keys.indexes(dataset),
                masked=personal_columns(dataset),
                is_about_platform=dataset.is_about_platform,
            )
        )
    return tuple(tables)


def newer_inputs(
    catalog: Catalog, states: Mapping[str, GateState], key: str
) -> tuple[GateState, ...]:
    """What makes a dataset older than what it reads: along the lineage, whatever changed after
    what reads it was built (by a run of a selection), the nearest first.

    What was built since and gave the same rows has dealt with all that lies above it.
    """
    known: dict[str, frozenset[str]] = {}

    def newer(each: str) -> frozenset[str]:
        if each not in known:
            built = states.get(each, GateState(each)).built_at
            parents = catalog[each].parents
            known[each] = frozenset(
                parent
                for parent in parents
                if _changed_after(states.get(parent, GateState(parent)), built)
            ).union(*map(newer, parents))
        return known[each]

    order = {layer: index for index, layer in enumerate(GATED_LAYERS)}
    return tuple(
        states[each]
        for each in sorted(newer(key), key=lambda each: (-order[catalog[each].layer], each))
    )


def _changed_after(state: GateState, moment: datetime | None) -> bool:
    return state.changed_at is not None and moment is not None and state.changed_at > moment


def _blame(state: GateState) -> str:
    return f"gate {state}"


def _outrun(newer: Sequence[GateState]) -> str:
    told = ", ".join(
        f"{each.key} (changed {each.changed_at:%Y-%m-%d %H:%M} UTC)"
        for each in newer[:3]
        if each.changed_at is not None
    )
    return f"{OUTRUN}: {told}" if told else ""
