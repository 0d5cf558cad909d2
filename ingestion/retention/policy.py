"""How long what a source sent is kept, as its YAML says: without a word, for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from warehouse.platform_log import PLATFORM

Part = Literal["landing", "raw"]
DAYS: Final = ("landing_days", "raw_days")


@dataclass(frozen=True)
class Retention:
    """Days since it was received; None keeps all."""

    landing_days: int | None = None
    raw_days: int | None = None
    is_on_wall_clock: bool = False

    def __bool__(self) -> bool:
        return self.landing_days is not None or self.raw_days is not None

    def days(self, part: Part) -> int | None:
        return self.landing_days if part == "landing" else self.raw_days

    def first_day(self, part: Part, company_now: datetime, wall_now: datetime) -> date | None:
        """What was received before this day may go."""
        days = self.days(part)
        now = wall_now if self.is_on_wall_clock else company_now
        return now.date() - timedelta(days=days) if days is not None else None


KEEPS_ALL: Final = Retention()


def said_wrongly(source: str, said: Any) -> str:
    """What is wrong with `meta.retention`, or nothing."""
    if not isinstance(said, dict) or not set(said) <= set(DAYS):
        return f"retention says {' and '.join(DAYS)}, and nothing else"
    if any(days is not None and (type(days) is not int or days < 1) for days in said.values()):
        return "retention counts whole days, at least 1; leave a key out to keep all"
    if source == PLATFORM and said.get("landing_days"):
        return "the platform reads its own log in landing, so this has no landing_days"
    return ""
