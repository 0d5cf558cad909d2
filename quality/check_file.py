"""A check file as data: what must be evaluated before a gate can open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from quality.thresholds import Threshold
from quality.variables import filled
from quality.vocabulary import DEFAULT_WINDOW_DAYS, OURS
from warehouse.errors import SluiceError

CHECKS_DIR = Path(__file__).resolve().parent / "checks"


class CheckFileError(SluiceError):
    """A check file that cannot be trusted: nothing of it is run, its gate stays closed."""


@dataclass(frozen=True)
class Trial:
    """A check that is evaluated and told, but does not close the gate, up to and with a day."""

    until: date
    because: str


@dataclass(frozen=True)
class DeclaredCheck:
    """One check that must be evaluated before its dataset's gate can open."""

    check_id: str
    type: str
    name: str
    threshold: Threshold | None
    column: str = ""
    line: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)
    trial: Trial | None = None

    def is_observed(self, today: date) -> bool:
        return self.trial is not None and today <= self.trial.until

    def filled(self, variables: Mapping[str, str]) -> DeclaredCheck:
        body = {
            word: filled(value, variables) if isinstance(value, str) else value
            for word, value in self.body.items()
        }
        return replace(self, body=body)

    @property
    def by_soda(self) -> bool:
        return self.line > 0 and self.type not in OURS


@dataclass(frozen=True)
class CheckFile:
    key: str
    path: Path
    checks: tuple[DeclaredCheck, ...]
    filter: str = ""
    window_days: int = DEFAULT_WINDOW_DAYS


def shown(path: Path) -> str:
    root = CHECKS_DIR.parent.parent
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
