"""What a person may do to a gate: open it for a while, accept what it closed on, shut it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quality.gate import carried, change, overridden, states
from quality.gate_state import GateState, Override, iso
from warehouse.clock import wall_clock
from warehouse.errors import SettingsError
from warehouse.settings import Settings

# An emergency lasts days; what is right for longer is a change of the check file.
LONGEST_OVERRIDE = timedelta(days=14)


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
    change(
        settings,
        [key],
        lambda found: [
            carried(state) | overridden(state, override, now) | {"run_id": ""}
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
    change(
        settings,
        [key],
        lambda found: [
            carried(state)
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
            carried(state)
            | {
                "state": "closed",
                "since": iso(state.closed_since or now),
                "closed_since": iso(state.closed_since or now),
                "open_since": None,
                "reason": message,
                "kind": "by_hand",
                "run_id": "",
                "override": None,
                "checks": [],
            }
            for state in before.values()
        ]

    change(settings, [key], events)
    return states(settings, [key])[key]
