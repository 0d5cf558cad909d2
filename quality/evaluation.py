"""What the gate was told about one dataset, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from quality.thresholds import Outcome, Threshold

HOLDING = ("pass", "warn")


@dataclass(frozen=True)
class CheckResult:
    """One declared check's answer; `message` says in a sentence what is wrong."""

    check_id: str
    type: str
    name: str
    outcome: Outcome
    value: float | None = None
    threshold: str = ""
    column: str = ""
    message: str = ""

    @property
    def holds(self) -> bool:
        return self.outcome in HOLDING

    def __str__(self) -> str:
        if self.message:
            return f"{self.name}: {self.message}"
        if self.value is None:
            return f"{self.name}: {self.outcome.replace('_', ' ')}"
        return f"{self.name}: {shown(self.value)}, {self.threshold}"


@dataclass(frozen=True)
class Evaluation:
    """A dataset's checks together. Open only if there are any and every one holds."""

    key: str
    checks: tuple[CheckResult, ...]
    position: int | None = None
    seconds: float = 0.0
    arrived_at: datetime | None = None
    """When the oldest of the rows that are new to the gate were received."""

    @property
    def is_open(self) -> bool:
        return bool(self.checks) and all(check.holds for check in self.checks)

    @property
    def failing(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if not check.holds)

    @property
    def warning(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.outcome == "warn")

    @property
    def kind(self) -> str:
        """The kind of closing, which names its runbook."""
        return "check_failed"

    @property
    def reason(self) -> str:
        """Why it is closed; what it warns of while open."""
        if not self.checks:
            return "no check was evaluated"
        wrong = [check for check in self.failing if check.outcome != "not_evaluated"]
        silent = [check for check in self.failing if check.outcome == "not_evaluated"]
        # What is wrong first; one fault often keeps all other checks from being evaluated.
        told = [str(check) for check in wrong or silent[:1] or self.warning]
        untold = len(silent) if wrong else len(silent) - 1
        if untold > 0:
            told.append(f"{untold} more {'check' if untold == 1 else 'checks'} not evaluated")
        return "; ".join(told)

    def joined(self, checks: Iterable[CheckResult]) -> Evaluation:
        """With checks that another judge made (dbt tests, the loader)."""
        return replace(self, checks=(*self.checks, *checks))


def closed(key: str, name: str, message: str) -> Evaluation:
    """Closed without having run a check: the file, the table or the engine is at fault."""
    slug = name.replace(" ", "_")
    return Evaluation(key, (CheckResult(slug, slug, name, "error", message=message),))


def measured(threshold: Threshold, value: float) -> str:
    unit = " %" if threshold.percent else ""
    return f"{shown(value)}{unit}, {threshold.breached(value)}"


def shown(value: float) -> str:
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", " ")
    return (
        f"{value:,.4g}".replace(",", " ")
        if abs(value) < 1000
        else f"{value:,.2f}".replace(",", " ")
    )
