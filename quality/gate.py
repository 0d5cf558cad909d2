"""The gate: a remembered state per dataset, derived from the platform log.

Checks inside one run would gate only that run; starting a later step alone would walk round
them. So each evaluation is an event, and whoever builds or publishes asks what the events say.
What was never evaluated, or was being rebuilt when its run died, counts as closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from catalog.catalog import BUILT_LAYERS, Catalog, Dataset
from quality import gate_log
from quality.evaluation import Evaluation
from warehouse.clock import wall_clock
from warehouse.crash_points import crash_point
from warehouse.errors import SettingsError
from warehouse.publish import PublicTable
from warehouse.settings import Settings
from warehouse.snapshots import PublicColumn

GATED_LAYERS = ("raw", *BUILT_LAYERS)
State = Literal["open", "closed", "pending", "never"]
# An emergency lasts days; what is right for longer is a change of the check file.
LONGEST_OVERRIDE = timedelta(days=14)


@dataclass(frozen=True)
class Override:
    """A person's word that a gate stands open although its checks say otherwise."""

    by: str
    because: str
    until: datetime
    against: str = ""

    def __str__(self) -> str:
        return f"opened by {self.by} until {self.until:%Y-%m-%d %H:%M} UTC: {self.because}"


@dataclass(frozen=True)
class GateState:
    """`since` is when this state began; a closed gate keeps its first moment through retries."""

    key: str
    state: State = "never"
    since: datetime | None = None
    reason: str = "it was never evaluated"
    run_id: str = ""
    checks: tuple[Mapping[str, Any], ...] = ()
    closed_since: datetime | None = None
    open_since: datetime | None = None
    position: int | None = None
    """The newest batch of a source's entity that the gate opened on, and when it did."""
    positioned_at: datetime | None = None
    seen: int | None = None
    changed_at: datetime | None = None
    """When its rows last changed, or were built anew."""
    override: Override | None = None
    kind: str = ""

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def is_overridden(self) -> bool:
        """Open only because somebody said so."""
        return self.is_open and self.override is not None

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d %H:%M} UTC" if self.since is not None else ""
        return (
            f"{self.key} is {self.state}{since}: {self.reason}"
            if self.reason
            else (f"{self.key} is {self.state}{since}")
        )


def is_gated(dataset: Dataset) -> bool:
    return dataset.layer in GATED_LAYERS


def states(settings: Settings, keys: Iterable[str]) -> dict[str, GateState]:
    """The latest state of each key."""
    known, now = gate_log.latest(settings), wall_clock()
    return {key: _state(known[key], now) if key in known else GateState(key) for key in keys}


def mark_pending(settings: Settings, keys: Iterable[str], run_id: str) -> None:
    """Close the gates of what is about to be loaded or rebuilt, until it is evaluated."""
    now = wall_clock()

    def events(before: Mapping[str, GateState]) -> list[dict[str, Any]]:
        return [
            _carried(state)
            | {
                "state": "pending",
                "since": _iso(state.since if state.state == "pending" else now),
                "reason": f"{_run(run_id)} is rebuilding it, or was ended while it did",
                "run_id": run_id,
                # A source's rows change only by new batches, which its evaluation will see.
                "changed_at": _iso(state.changed_at if state.key.startswith("raw.") else now),
                "checks": [],
            }
            for state in before.values()
        ]

    _append(settings, keys, events)


def record(settings: Settings, evaluations: Sequence[Evaluation], run_id: str) -> None:
    """Remember what the evaluations say: one event per dataset, one file for all."""
    crash_point("gate.evaluated")
    now = wall_clock()

    def events(before: Mapping[str, GateState]) -> list[dict[str, Any]]:
        return [_judged(each, before[each.key], run_id, now) for each in evaluations]

    _append(settings, [each.key for each in evaluations], events)


def open_anyway(settings: Settings, key: str, by: str, because: str, until: datetime) -> GateState:
    """A person takes responsibility: a closed gate stands open, whatever its checks say, until
    then. The rows that keep it closed stay suspect: they are looked at again afterwards.
    """
    now = wall_clock()
    if not because.strip():
        raise SettingsError(
            "A gate is not opened without a reason.", remedy="Say --because: others will ask."
        )
    if not now < until <= now + LONGEST_OVERRIDE:
        raise SettingsError(
            f"A gate cannot be opened until {until:%Y-%m-%d %H:%M} UTC.",
            remedy=f"Choose a moment within the next {LONGEST_OVERRIDE.days} days; what is right "
            "for longer belongs into the check file.",
        )
    before = states(settings, [key])[key]
    if before.state != "closed":
        raise SettingsError(
            f"Only a closed gate can be opened by hand; {before}.",
            remedy="`sluice run` builds and evaluates what was never built, or was left pending.",
        )
    override = Override(by, because, until, before.reason)
    _append(
        settings,
        [key],
        lambda found: [
            _carried(state) | _overridden(state, override, now) | {"run_id": ""}
            for state in found.values()
        ],
    )
    return states(settings, [key])[key]


def accept(settings: Settings, key: str, by: str, because: str) -> GateState:
    """The rows that a source's gate closed on are right after all: later windows begin after them.

    The bound stays: the next rows like these close the gate again.
    """
    before = states(settings, [key])[key]
    if before.state != "closed" or before.seen is None or before.kind == "load_refused":
        raise SettingsError(
            f"Only rows that closed a source's gate can be accepted; {before}.",
            remedy="A refused file is set aside (`sluice set-aside`); a model is mended.",
        )
    now = wall_clock()
    _append(
        settings,
        [key],
        lambda found: [
            _carried(state)
            | {
                "state": "open",
                "since": now.isoformat(),
                "open_since": now.isoformat(),
                "closed_since": None,
                "reason": f"accepted by {by}: {because}",
                "run_id": "",
                "position": state.seen,
                "positioned_at": now.isoformat(),
                "override": None,
                "checks": [dict(check) for check in state.checks],
            }
            for state in found.values()
        ],
    )
    return states(settings, [key])[key]


def close_by_hand(settings: Settings, key: str, by: str, because: str) -> GateState:
    """Somebody knows what no check saw: shut until it is evaluated again."""
    now = wall_clock()
    message = f"closed by {by}: {because}"

    def events(before: Mapping[str, GateState]) -> list[dict[str, Any]]:
        return [
            _carried(state)
            | {
                "state": "closed",
                "since": _iso(state.closed_since or now),
                "closed_since": _iso(state.closed_since or now),
                "open_since": None,
                "reason": message,
                "kind": "by_hand",
                "run_id": "",
                "override": None,
                "checks": [],
            }
            for state in before.values()
        ]

    _append(settings, [key], events)
    return states(settings, [key])[key]


def closed_upstream(
    catalog: Catalog, states: Mapping[str, GateState], key: str
) -> tuple[GateState, ...]:
    """The gates above a dataset that are not open, nearest to the sources first."""
    found = [
        states.get(each, GateState(each))
        for each in catalog.ancestors(key)
        if is_gated(catalog[each])
    ]
    order = {layer: index for index, layer in enumerate(GATED_LAYERS)}
    return tuple(
        sorted(
            (state for state in found if not state.is_open),
            key=lambda state: (order[catalog[state.key].layer], state.key),
        )
    )


def buildable(
    catalog: Catalog, states: Mapping[str, GateState], keys: Iterable[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which of the keys may be built, and why the others may not.

    A closed ancestor that is built in the same step does not withhold its children: within a
    layer dbt's tests stop them, and what they hold is not published until the ancestor opens.
    """
    wanted = list(dict.fromkeys(keys))
    shut = {key: closed_upstream(catalog, states, key) for key in wanted}
    withheld: dict[str, str] = {}
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


def publish_plan(catalog: Catalog, states: Mapping[str, GateState]) -> tuple[PublicTable, ...]:
    """Every public dataset, fresh where its own gate and all above it are open, and none above it
    was built after it.
    """
    tables: list[PublicTable] = []
    for dataset in catalog.public():
        own = states.get(dataset.key, GateState(dataset.key))
        shut = closed_upstream(catalog, states, dataset.key)
        if is_gated(dataset) and not own.is_open:
            shut = (*shut, own)
        newer = newer_inputs(catalog, states, dataset.key) if not shut else ()
        since = [each.closed_since or each.since for each in shut]
        since += [each.changed_at for each in newer]
        known = [each for each in since if each is not None]
        tables.append(
            PublicTable(
                name=dataset.name,
                relation=dataset.relation,
                fresh=not shut and not newer,
                reason="; ".join(_blame(each) for each in shut[:3]) or _outrun(newer),
                since=min(known) if known else None,
                owner=dataset.owner,
                tier=dataset.tier,
                classification=dataset.classification,
                description=dataset.description,
                columns=tuple(
                    PublicColumn(column.name, column.description) for column in dataset.columns
                ),
                # A view follows what it reads without being built.
                build="" if dataset.materialized == "view" else own.run_id,
                partition_by=dataset.partition_by,
            )
        )
    return tuple(tables)


def newer_inputs(
    catalog: Catalog, states: Mapping[str, GateState], key: str
) -> tuple[GateState, ...]:
    """What a dataset reads and has not read since it changed (after a run of a selection)."""
    own = states.get(key, GateState(key)).changed_at
    if own is None:
        return ()
    above = (states.get(each, GateState(each)) for each in catalog.ancestors(key))
    newer = [each for each in above if each.changed_at is not None and each.changed_at > own]
    order = {layer: index for index, layer in enumerate(GATED_LAYERS)}
    return tuple(sorted(newer, key=lambda each: (-order[catalog[each.key].layer], each.key)))


def _blame(state: GateState) -> str:
    return f"gate {state}"


def _outrun(newer: Sequence[GateState]) -> str:
    told = ", ".join(
        f"{each.key} ({each.changed_at:%Y-%m-%d %H:%M} UTC)"
        for each in newer[:3]
        if each.changed_at is not None
    )
    return f"older than what it reads: {told}" if told else ""


def _append(
    settings: Settings,
    keys: Iterable[str],
    events: Callable[[Mapping[str, GateState]], list[dict[str, Any]]],
) -> None:
    wanted = sorted(set(keys))
    now = wall_clock()
    gate_log.append(
        settings,
        lambda known: events(
            {key: _state(known[key], now) if key in known else GateState(key) for key in wanted}
        ),
    )


def _run(run_id: str) -> str:
    return f"run {run_id}" if run_id else "dbt, started by hand,"


def _carried(state: GateState) -> dict[str, Any]:
    """What an event that evaluates nothing keeps of the state before it."""
    return {
        "key": state.key,
        "closed_since": _iso(state.closed_since),
        "open_since": _iso(state.open_since),
        "position": state.position,
        "positioned_at": _iso(state.positioned_at),
        "seen": state.seen,
        "changed_at": _iso(state.changed_at),
        "override": _plain(state.override),
    }


def _judged(
    evaluation: Evaluation, before: GateState, run_id: str, now: datetime
) -> dict[str, Any]:
    opened = evaluation.is_open
    closed_since = None if opened else before.closed_since or now
    open_since = (before.open_since or now) if opened else None
    # Only an open gate moves on: what a closed one saw is looked at again.
    moved = opened and evaluation.position is not None
    # New batches of a source; a model's rows changed when it became pending.
    news = evaluation.position is not None and evaluation.position != before.seen
    event = {
        "key": evaluation.key,
        "state": "open" if opened else "closed",
        "since": _iso(open_since if opened else closed_since),
        "closed_since": _iso(closed_since),
        "open_since": _iso(open_since),
        "reason": evaluation.reason,
        "kind": evaluation.kind,
        "arrived_at": _iso(evaluation.arrived_at),
        "run_id": run_id,
        "position": evaluation.position if moved else before.position,
        "positioned_at": _iso(now if moved else before.positioned_at),
        "seen": before.seen if evaluation.position is None else evaluation.position,
        "changed_at": _iso(now if news else before.changed_at),
        "seconds": round(evaluation.seconds, 4),
        "checks": [asdict(check) for check in evaluation.checks],
        "override": None,
    }
    override = before.override
    if not opened and override is not None and override.until > now:
        event |= _overridden(before, replace(override, against=evaluation.reason), now)
    return event


def _overridden(state: GateState, override: Override, now: datetime) -> dict[str, Any]:
    """Open, but neither forgotten (`closed_since`) nor believed (the position stays)."""
    return {
        "state": "open",
        "since": _iso(state.since if state.is_overridden else now),
        "open_since": None,
        "closed_since": _iso(state.closed_since or now),
        "reason": f"{override}; against: {override.against}",
        "kind": state.kind,
        "override": _plain(override),
        "override_by": override.by,
        "override_until": override.until.isoformat(),
        "checks": [dict(check) for check in state.checks],
    }


def _state(event: Mapping[str, Any], now: datetime) -> GateState:
    state = GateState(
        key=event["key"],
        state=event["state"],
        since=_instant(event.get("since")),
        reason=event.get("reason") or "",
        run_id=event.get("run_id") or "",
        checks=tuple(event.get("checks") or ()),
        closed_since=_instant(event.get("closed_since")),
        open_since=_instant(event.get("open_since")),
        position=event.get("position"),
        positioned_at=_instant(event.get("positioned_at")),
        seen=event.get("seen"),
        changed_at=_instant(event.get("changed_at")),
        override=_override(event.get("override")),
        kind=event.get("kind") or "",
    )
    if state.is_overridden and state.override is not None and state.override.until <= now:
        # Its time is over, whoever looks: no event is needed for that.
        return replace(
            state,
            state="closed",
            since=state.closed_since or state.override.until,
            reason=f"{state.override.against} (an override by {state.override.by} ended "
            f"{state.override.until:%Y-%m-%d %H:%M} UTC)",
            override=None,
        )
    return state


def _override(value: Mapping[str, Any] | None) -> Override | None:
    if not value:
        return None
    return Override(
        value["by"], value["because"], datetime.fromisoformat(value["until"]), value["against"]
    )


def _plain(override: Override | None) -> dict[str, Any] | None:
    if override is None:
        return None
    return {**asdict(override), "until": override.until.isoformat()}


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def _instant(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
