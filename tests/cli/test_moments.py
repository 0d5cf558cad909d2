"""A moment is told in UTC, in whatever zone it was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli.moments import moment
from warehouse.errors import SettingsError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-25T10:00+02:00", "2026-11-25 08:00+0000"),
        ("2026-11-25T10:00", "2026-11-25 10:00+0000"),
        ("4h", "2026-11-25 08:00+0000"),
    ],
)
def test_a_moment_is_told_in_utc(text: str, meant: str) -> None:
    found = moment(text, NOW, is_past=True)
    assert f"{found:%Y-%m-%d %H:%M%z}" == meant


def test_from_now_on_a_span_goes_ahead() -> None:
    assert moment("3d", NOW) == NOW + timedelta(days=3)


@pytest.mark.parametrize("text", ["soon", "9999999999d", "9999999d", "0001-01-01T00:00+02:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is no moment"):
        moment(text, NOW, is_past=True)
