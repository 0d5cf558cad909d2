"""Moments as people write them on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from warehouse.errors import SettingsError

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, now: datetime, *, is_past: bool = False) -> datetime:
    """`30m`, `4h`, `3d` from now (or ago), or an instant in UTC."""
    span = re.fullmatch(r"\+?(\d+)\s*([mhd])", text.strip())
    if span is not None:
        away = timedelta(**{UNITS[span.group(2)]: int(span.group(1))})
        return now - away if is_past else now + away
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"{text!r} is no moment.", remedy="Write 4h, 3d, or a moment: 2026-12-01T18:00."
        ) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
