"""A plan of a backfill, as it is shown, kept in the platform log, and done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal

from warehouse import platform_log
from warehouse.errors import SettingsError
from warehouse.settings import Settings

LOG_KIND: Final = "backfills"
LAST: Final = "last"
ENDED: Final = ("ended", "stopped")

Kind = Literal["batches", "replay", "days", "parts", "take", "rest"]
"""Files read anew; a whole source read anew; days built in place; days built aside; a model takes
over what was built aside; all that is left, in one run."""


@dataclass(frozen=True)
class Step:
    """What is done under one lock; `datasets` are then built and judged in an ordinary run."""

    kind: Kind
    subject: str
    first: str = ""
    last: str = ""
    count: int = 0
    rows: int | None = None
    seconds: float | None = None
    entities: tuple[str, ...] = ()
    batches: tuple[int, int] = (0, 0)
    datasets: tuple[str, ...] = ()

    def __str__(self) -> str:
        span = self.first if self.first == self.last else f"{self.first} to {self.last}"
        rows = f", {self.rows:,} rows" if self.rows is not None else ""
        text = {
            "batches": f"read {self.count:,} files of {self.subject} anew ({span}{rows})",
            "replay": f"read all of {self.subject} anew ({self.count:,} files{rows})",
            "days": f"build {self.count} days of {self.subject} ({span}{rows})",
            "parts": f"build {self.count} days of {self.subject} aside ({span}{rows})",
            "take": f"{self.subject} takes over what was built aside",
            "rest": f"build {self.count} datasets"
            + (f" that {self.subject} reads" if self.subject else ", as far as they are due"),
        }
        return text[self.kind]


@dataclass(frozen=True)
class Plan:
    """What a backfill does, to which datasets, and on what it was planned."""

    backfill_id: str
    asked: str
    reasons: Mapping[str, str]
    datasets: tuple[str, ...]
    published: tuple[str, ...]
    steps: tuple[Step, ...]
    definitions: str
    """Of every dataset that it touches: as long as it is under way."""
    built: str
    """What the workshop held of them when it was planned: until it begins."""

    @property
    def seconds(self) -> float | None:
        """None where the log knows too little to say."""
        known = [each.seconds for each in self.steps]
        return None if None in known else sum(each or 0.0 for each in known)


@dataclass(frozen=True)
class Standing:
    """How far a backfill has come, by the platform log."""

    plan: Plan
    state: Literal["planned", "under way", "ended", "stopped"]
    made_at: datetime
    since: datetime | None
    done: int
    seconds: float
    reason: str = ""

    @property
    def left(self) -> float | None:
        """Seconds: as long as its steps took so far, else as the plan expects."""
        if self.state in ENDED:
            return 0.0
        if not self.done:
            return self.plan.seconds
        return self.seconds / self.done * (len(self.plan.steps) - self.done)


def span(seconds: float | None) -> str:
    """As people say it; nothing where nobody knows."""
    if seconds is None:
        return ""
    minutes = int(seconds // 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes >= 2 else f"{seconds:.1f} s"


def log(settings: Settings, about: Plan, event: str, **said: Any) -> None:
    known = {"event": event, "backfill_id": about.backfill_id, "asked": about.asked}
    platform_log.append(settings, LOG_KIND, [{**known, "step_count": len(about.steps), **said}])


def log_plan(settings: Settings, plan: Plan) -> None:
    log(settings, plan, "planned", plan=asdict(plan))


def standings(settings: Settings) -> list[Standing]:
    """Every backfill that the log knows, the newest first."""
    return list(_standings(settings))


def standing(settings: Settings, backfill_id: str) -> Standing:
    found = standings(settings)
    for each in found:
        if backfill_id in (LAST, each.plan.backfill_id):
            return each
    known = ", ".join(each.plan.backfill_id for each in found[:3])
    raise SettingsError(
        f"There is no backfill {backfill_id}." if found else "No backfill was planned yet.",
        remedy=f"The last ones: {known}." if found else "`sluice backfill plan --change` plans.",
    )


def _standings(settings: Settings) -> Iterator[Standing]:
    later: dict[str, list[Mapping[str, Any]]] = {}
    for event in platform_log.read_newest_first(settings, LOG_KIND):
        events = later.setdefault(event["backfill_id"], [])
        if event["event"] == "planned":
            yield _standing(event, events)
        else:
            events.insert(0, event)


def _standing(planned: Mapping[str, Any], events: list[Mapping[str, Any]]) -> Standing:
    begun = next((each for each in events if each["event"] == "started"), None)
    steps = {each["step"]: each for each in events if each["event"] == "step"}
    last = events[-1] if events else planned
    return Standing(
        plan=_read(planned["plan"]),
        state=last["event"] if last["event"] in ENDED else "under way" if begun else "planned",
        made_at=platform_log.logged_at(planned),
        since=platform_log.logged_at(begun) if begun else None,
        done=len(steps),
        seconds=sum(each["seconds"] for each in steps.values()),
        reason=last.get("reason") or "",
    )


def _read(said: Mapping[str, Any]) -> Plan:
    return Plan(
        **{
            **{name: _tuple(value) for name, value in said.items()},
            "steps": tuple(_step(each) for each in said["steps"]),
        }
    )


def _step(said: Mapping[str, Any]) -> Step:
    return Step(**{each.name: _tuple(said[each.name]) for each in fields(Step)})


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
