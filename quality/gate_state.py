"""What is remembered of one gate: its state, and how an event of the log spells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

from catalog.catalog import BUILT_LAYERS, Dataset

GATED_LAYERS = ("raw", *BUILT_LAYERS)
State = Literal["open", "closed", "pending", "never"]


def is_gated(dataset: Dataset) -> bool:
    return dataset.layer in GATED_LAYERS


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
    """When rows came or were built that are other ones than before."""
    built_at: datetime | None = None
    """When it was last built, whether its rows changed or not."""
    built_by: str = ""
    """The run that did."""
    content: str = ""
    """What tells its rows from other ones; empty for a source, whose batches do."""
    judged_at: datetime | None = None
    judged_by: str = ""
    """What it was held against: changes with its check file and its dbt tests."""
    judged_on: date | None = None
    confirmed_at: datetime | None = None
    """When a run last found that nothing of it was due."""
    override: Override | None = None
    kind: str = ""

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def is_plainly_open(self) -> bool:
        """Open because its checks hold."""
        return self.is_open and self.override is None

    @property
    def is_called_too_little(self) -> bool:
        """Closed, its rows being right: its own columns are to be called higher, and no more."""
        return self.state == "closed" and self.kind == "called_too_little"

    @property
    def passed_at(self) -> datetime | None:
        """When it was last found to hold, by its checks or because nothing had changed."""
        known = [each for each in (self.judged_at, self.confirmed_at) if each is not None]
        return max(known) if self.is_plainly_open and known else None

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


def read(event: Mapping[str, Any], now: datetime) -> GateState:
    """The state that a gate's newest event says it has by now."""
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
        built_at=_instant(event.get("built_at")),
        built_by=event.get("built_by") or "",
        judged_at=_instant(event.get("judged_at")),
        judged_by=event.get("judged_by") or "",
        judged_on=_day(event.get("judged_on")),
        confirmed_at=_instant(event.get("confirmed_at")),
        override=_override(event.get("override")),
        kind=event.get("kind") or "",
        content=event.get("content") or "",
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


def plain_override(override: Override | None) -> dict[str, Any] | None:
    if override is None:
        return None
    return {**asdict(override), "until": override.until.isoformat()}


def iso(value: date | None) -> str | None:
    return value.isoformat() if value is not None else None


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None


def _instant(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
