"""What was measured, beside what was aimed at; printed as it comes and kept with its date."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from warehouse.settings import PROJECT_ROOT

RESULTS = PROJECT_ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Aim:
    """Between these it is as it should be; one of them may be open."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least:,g} to {self.at_most:,g}"
        return f"≥ {self.at_least:,g}" if self.at_least is not None else f"≤ {self.at_most:,g}"


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    aim: Aim | None = None

    def __str__(self) -> str:
        digits = 0 if abs(self.value) >= 1000 else 2
        sign = " " if self.aim is None else "✓" if self.aim.holds(self.value) else "✗"
        aim = f" (aim {self.aim})" if self.aim else ""
        return f"{sign} {self.value:12,.{digits}f} {self.unit:<9} {self.name}{aim}"


@dataclass
class Figures:
    """Told one by one, because the whole takes long."""

    all: list[Figure] = field(default_factory=list)

    def tell(self, name: str, value: float, unit: str = "×", aim: Aim | None = None) -> None:
        figure = Figure(name, round(value, 3), unit, aim)
        self.all.append(figure)
        print(figure, flush=True)


def keep(figures: Sequence[Figure], size: str, days: int) -> Path:
    """Under the day; a figure measured again that day takes the place of the earlier one."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y-%m-%d}-{size}.json"
    before = json.loads(path.read_text())["figures"] if path.exists() else []
    kept = {each["name"]: each for each in before} | {
        each.name: _told(each, now) for each in figures
    }
    result = {
        "size": size,
        "days": days,
        "figures": list(kept.values()),
    }
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return path


def _told(figure: Figure, at: datetime) -> dict[str, object]:
    told: dict[str, object] = {"name": figure.name, "value": figure.value, "unit": figure.unit}
    told["measured_at"] = at.isoformat(timespec="seconds")
    if figure.aim is not None:
        told["aim"] = {k: v for k, v in asdict(figure.aim).items() if v is not None}
        told["holds"] = figure.aim.holds(figure.value)
    return told
