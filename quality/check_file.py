"""A check file as data: what must be evaluated before a gate can open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quality.thresholds import Threshold
from quality.vocabulary import DEFAULT_WINDOW_DAYS, OURS
from warehouse.errors import SluiceError

CHECKS_DIR = Path(__file__).resolve().parent / "checks"


class CheckFileError(SluiceError):
    """A check file that cannot be trusted: nothing of it is run, its gate stays closed."""


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
