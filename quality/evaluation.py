"""What the gate was told about one dataset, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal, get_args

from quality.check_file import DeclaredCheck
from quality.thresholds import Outcome, Threshold
from warehouse.engine_words import engine_message

HOLDING = ("pass", "warn")
Kind = Literal[
    "",
    "load_refused",
    "dbt_failed",
    "schema",
    "check_failed",
    "freshness",
    "not_evaluated",
    "called_too_little",
]
"""What sort of closing it is; none of an open gate. The first that applies is meant."""
KINDS: Mapping[str, Kind] = {
    "load": "load_refused",
    "dbt": "dbt_failed",
    "classification": "called_too_little",
    "schema": "schema",
    "freshness": "freshness",
}
ORDER: tuple[Kind, ...] = get_args(Kind)[1:]


@dataclass(frozen=True)
class CheckResult:
    """One declared check's answer; `message` says in a sentence what is wrong.

    The value was expected between `expected_low` and `expected_high`; `sample` are some of the
    rows that are at fault, masked; `history` the values of earlier days, for the next evaluation.
    """

    check_id: str
    type: str
    name: str
    outcome: Outcome
    value: float | None = None
    threshold: str = ""
    column: str = ""
    message: str = ""
    is_observed: bool = False
    expected_low: float | None = None
    expected_high: float | None = None
    measured_on: str = ""
    history: tuple[tuple[str, float], ...] = ()
    plot: str = ""
    sample: tuple[Mapping[str, str | None], ...] = ()

    @property
    def holds(self) -> bool:
        return self.outcome in HOLDING

    @property
    def closes(self) -> bool:
        return not self.holds and not self.is_observed

    @property
    def kind(self) -> Kind:
        """What sort of closing it makes."""
        if self.type in ("load", "dbt"):
            return KINDS[self.type]
        if self.outcome in ("not_evaluated", "error"):
            return "not_evaluated"
        return KINDS.get(self.type, "check_failed")

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
    content: str = ""
    """What tells a model's rows from other ones; empty where nobody could look."""
    judged_by: str = ""
    """What tells the checks from other ones; empty where none were run."""
    judged_on: date | None = None
    """The day that it was for the dataset: the company's, or the platform's own."""

    @property
    def is_open(self) -> bool:
        counted = [check for check in self.checks if not check.is_observed]
        return bool(counted) and all(check.holds for check in counted)

    @property
    def failing(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.closes)

    @property
    def observed(self) -> tuple[CheckResult, ...]:
        """Checks on trial that would have closed the gate."""
        return tuple(check for check in self.checks if check.is_observed and not check.holds)

    @property
    def kind(self) -> Kind:
        if self.is_open:
            return ""
        found = {check.kind for check in self.failing}
        return next((kind for kind in ORDER if kind in found), "not_evaluated")

    @property
    def warning(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.outcome == "warn")

    @property
    def reason(self) -> str:
        """Why it is closed; what it warns of while open."""
        if not self.checks:
            return "no check was evaluated"
        wrong = [check for check in self.failing if check.outcome != "not_evaluated"]
        silent = [check for check in self.failing if check.outcome == "not_evaluated"]
        # What is wrong first; one fault often keeps all other checks from being evaluated.
        told = [str(check) for check in wrong or silent[:1] or self.warning]
        if self.is_open:
            told += [f"{check} (on trial)" for check in self.observed]
        untold = len(silent) if wrong else len(silent) - 1
        if untold > 0:
            told.append(f"{untold} more {'check' if untold == 1 else 'checks'} not evaluated")
        return "; ".join(told)

    def joined(self, checks: Iterable[CheckResult]) -> Evaluation:
        """With checks that another judge made (dbt tests, the loader)."""
        return replace(self, checks=(*self.checks, *checks))


def answered(
    check: DeclaredCheck, outcome: Outcome, value: float | None = None, message: str = ""
) -> CheckResult:
    """A declared check's result, with the limits of its threshold as what was expected."""
    low, high = check.threshold.limits if check.threshold is not None else (None, None)
    return CheckResult(
        check.check_id,
        check.type,
        check.name,
        outcome,
        value,
        str(check.threshold),
        check.column,
        message,
        expected_low=low,
        expected_high=high,
    )


def unevaluated(check: DeclaredCheck, why: str) -> CheckResult:
    return answered(check, "not_evaluated", message=f"not evaluated ({why})")


def closed(key: str, name: str, message: str) -> Evaluation:
    """Closed without having run a check: the file, the table or the engine is at fault."""
    slug = name.replace(" ", "_")
    message = engine_message(message) if slug == "dbt" else message
    return Evaluation(key, (CheckResult(slug, slug, name, "error", message=message),))


def measured(threshold: Threshold, value: float) -> str:
    unit = " %" if threshold.percent else ""
    return f"{shown(value)}{unit}, {threshold.breached(value)}"


def expected(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return shown(low) if low == high else f"{shown(low)} to {shown(high)}"
    if low is not None:
        return f"{shown(low)} or more"
    return f"{shown(high)} or less" if high is not None else "something else"


def shown(value: float) -> str:
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", " ")
    return (
        f"{value:,.4g}".replace(",", " ")
        if abs(value) < 1000
        else f"{value:,.2f}".replace(",", " ")
    )
