"""The gate: a remembered state per dataset, derived from the platform log.

Checks inside one run would gate only that run; starting a later step alone would walk round
them. So each evaluation is an event, and whoever builds or publishes asks what the events say.
What was never evaluated, or was being rebuilt when its run died, counts as closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from quality import gate_log
from quality.evaluation import Evaluation
from quality.gate_state import GateState, Override, iso, plain_override, read
from warehouse.clock import wall_clock
from warehouse.crash_points import crash_point
from warehouse.settings import Settings


def states(settings: Settings, keys: Iterable[str]) -> dict[str, GateState]:
    """The latest state of each key."""
    known, now = gate_log.latest(settings), wall_clock()
    return {key: read(known[key], now) if key in known else GateState(key) for key in keys}


def mark_pending(settings: Settings, keys: Iterable[str], run_id: str) -> datetime:
    """Close the gates of what is about to be loaded or rebuilt, until it is evaluated.

    Gives the moment that counts as the build's.
    """
    now = wall_clock()

    def events(before: Mapping[str, GateState]) -> list[dict[str, Any]]:
        return [
            carried(state)
            | {
                "state": "pending",
                "since": iso(state.since if state.state == "pending" else now),
                "reason": f"{_run(run_id)} is rebuilding it, or was ended while it did",
                "run_id": run_id,
                "built_at": now.isoformat(),
                "built_by": run_id,
                "checks": [],
            }
            for state in before.values()
        ]

    change(settings, keys, events)
    return now


def confirm(settings: Settings, keys: Iterable[str], run_id: str) -> None:
    """Say of open gates that they still hold: nothing that they were judged on has changed."""

    def events(before: Mapping[str, GateState]) -> list[dict[str, Any]]:
        return [
            {
                "key": state.key,
                "state": "open",
                "confirms": True,
                "since": iso(state.since),
                "open_since": iso(state.open_since),
                "run_id": run_id,
                "checks": [],
            }
            for state in before.values()
            if state.is_plainly_open
        ]

    change(settings, keys, events)


def record(settings: Settings, evaluations: Sequence[Evaluation], run_id: str) -> None:
    """Remember what the evaluations say: one event per dataset, one file for all."""
    crash_point("gate.evaluated")
    now = wall_clock()

    def events(before: Mapping[str, GateState]) -> list[dict[str, Any]]:
        return [_judged(each, before[each.key], run_id, now) for each in evaluations]

    change(settings, [each.key for each in evaluations], events)


def change(
    settings: Settings,
    keys: Iterable[str],
    events: Callable[[Mapping[str, GateState]], list[dict[str, Any]]],
) -> None:
    """Append what follows from the states so far; nobody else does in between."""
    wanted = sorted(set(keys))
    now = wall_clock()
    gate_log.append(
        settings,
        lambda known: events(
            {key: read(known[key], now) if key in known else GateState(key) for key in wanted}
        ),
    )


def _run(run_id: str) -> str:
    return f"run {run_id}" if run_id else "dbt, started by hand,"


def carried(state: GateState) -> dict[str, Any]:
    """What an event that evaluates nothing keeps of the state before it."""
    return {
        "key": state.key,
        "closed_since": iso(state.closed_since),
        "open_since": iso(state.open_since),
        "position": state.position,
        "positioned_at": iso(state.positioned_at),
        "seen": state.seen,
        "changed_at": iso(state.changed_at),
        "built_at": iso(state.built_at),
        "built_by": state.built_by,
        "content": state.content,
        "judged_at": iso(state.judged_at),
        "judged_by": state.judged_by,
        "judged_on": iso(state.judged_on),
        "override": plain_override(state.override),
    }


def _judged(
    evaluation: Evaluation, before: GateState, run_id: str, now: datetime
) -> dict[str, Any]:
    opened = evaluation.is_open
    closed_since = None if opened else before.closed_since or now
    open_since = (before.open_since or now) if opened else None
    # Only an open gate moves on: what a closed one saw is looked at again.
    moved = opened and evaluation.position is not None
    # New batches of a source, other rows of a model.
    news = (
        evaluation.content != before.content
        if evaluation.position is None
        else evaluation.position != before.seen
    )
    event = {
        "key": evaluation.key,
        "state": "open" if opened else "closed",
        "since": iso(open_since if opened else closed_since),
        "closed_since": iso(closed_since),
        "open_since": iso(open_since),
        "reason": evaluation.reason,
        "kind": evaluation.kind,
        "arrived_at": iso(evaluation.arrived_at),
        "run_id": run_id,
        "position": evaluation.position if moved else before.position,
        "positioned_at": iso(now if moved else before.positioned_at),
        "seen": before.seen if evaluation.position is None else evaluation.position,
        # As old as its build: what is built in the same step has read it.
        "changed_at": iso((before.built_at or now) if news else before.changed_at),
        "built_at": iso(before.built_at),
        "built_by": before.built_by,
        "content": evaluation.content,
        "judged_at": iso(now),
        "judged_by": evaluation.judged_by,
        "judged_on": iso(evaluation.judged_on),
        "seconds": round(evaluation.seconds, 4),
        "checks": [asdict(check) for check in evaluation.checks],
        "override": None,
    }
    override = before.override
    if not opened and override is not None and override.until > now:
        event |= overridden(before, replace(override, against=evaluation.reason), now)
    return event


def overridden(state: GateState, override: Override, now: datetime) -> dict[str, Any]:
    """Open, but neither forgotten (`closed_since`) nor believed (the position stays)."""
    return {
        "state": "open",
        "since": iso(state.since if state.is_overridden else now),
        "open_since": None,
        "closed_since": iso(state.closed_since or now),
        "reason": f"{override}; against: {override.against}",
        "kind": state.kind,
        "override": plain_override(override),
        "override_by": override.by,
        "override_until": override.until.isoformat(),
        "checks": [dict(check) for check in state.checks],
    }
