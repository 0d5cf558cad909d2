"""Moments as people write them on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from warehouse.errors import SettingsError

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, now: datetime, *, is_past: bool = False) -> datetime:
    """In UTC: `30m`, `4h`, `3d` from now (or ago), or an instant (of UTC, if it has no zone)."""
    span = re.fullmatch(r"\+?(\d+)\s*([mhd])", text.strip())
    try:
        if span is not None:
            away = timedelta(**{UNITS[span.group(2)]: int(span.group(1))})
            return now - away if is_past else now + away
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"{text!r} is no moment.", remedy="Write 4h, 3d, or a moment: 2026-12-01T18:00."
        ) from error
