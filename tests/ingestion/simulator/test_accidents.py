"""Accidents on demand: each breaks one delivery in its way, and can be put right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from ingestion.simulator import simulate
from ingestion.simulator.accidents import ACCIDENTS, Broken
from warehouse.errors import SluiceError
from warehouse.settings import Settings

if TYPE_CHECKING:
    from tests.ingestion.simulator.conftest import Played


@pytest.fixture
def settings(tmp_path: Path, history: Played) -> Settings:
    """A company of one's own, to break."""
    shutil.copytree(history.settings.data_dir, tmp_path / "data")
    return Settings(data_dir=tmp_path / "data", landing="")


def content(settings: Settings, broken: Broken) -> bytes:
    (path,) = broken.files
    return (Path(settings.landing_url) / path).read_bytes()


def records(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def books(settings: Settings) -> dict[str, bytes]:
    files = settings.books_dir.glob("*.parquet")
    return {path.stem: path.read_bytes() for path in files if path.stem != "defects"}


def inject_and_mend(settings: Settings, kind: str) -> tuple[bytes, bytes]:
    """The broken file and the one that puts it right; neither touches the books."""
    before = books(settings)
    broken = simulate.inject(settings, kind)
    (mended,) = simulate.mend(settings)
    assert books(settings) == before
    assert mended.kind == kind and mended.files > broken.files
    return content(settings, broken), content(settings, mended)


def test_a_column_is_missing(settings: Settings) -> None:
    broken, right = inject_and_mend(settings, "missing-column")
    assert all("currency" not in row for row in records(broken))
    assert [row.pop("currency") for row in records(right)]
    assert len(records(broken)) == len(records(right)) > 0


def test_a_file_is_truncated(settings: Settings) -> None:
    broken, right = inject_and_mend(settings, "truncated-file")
    assert right.startswith(broken) and not broken.endswith(b"\n")
    assert right.count(b"\n") == broken.count(b"\n") + 1


def test_half_the_rows_are_bad(settings: Settings) -> None:
    broken, right = inject_and_mend(settings, "bad-rows")
    pairs = zip(broken.splitlines(), right.splitlines(), strict=True)
    wrong = [first != second for first, second in pairs]
    assert wrong == [number % 2 == 0 for number in range(len(wrong))]
    assert all(float(row["amount"]) > 0 for row in records(right))


def test_a_file_is_empty(settings: Settings) -> None:
    broken, right = inject_and_mend(settings, "empty-file")
    assert broken == b""
    assert records(right)


def test_a_file_has_the_wrong_encoding(settings: Settings) -> None:
    broken, right = inject_and_mend(settings, "wrong-encoding")
    with pytest.raises(UnicodeDecodeError):
        broken.decode()
    assert broken.decode("latin-1") == right.decode()


def test_amounts_are_implausible_until_newer_versions_come(settings: Settings) -> None:
    broken, right = inject_and_mend(settings, "implausible-amounts")
    wrong, mended = records(broken), records(right)
    assert mended
    for row, again in zip(wrong, mended, strict=True):
        assert float(row["amount"]) == pytest.approx(1000 * float(again["amount"]))
        assert row["payment_id"] == again["payment_id"]
        assert row["updated_at"] < again["updated_at"]


def test_the_events_of_a_day_are_held_back_until_they_come(
    settings: Settings, history: Played
) -> None:
    simulate.inject(settings, "stale-source")
    landing = Path(settings.landing_url)
    assert not list((landing / "events/events").glob("2025-09-08"))
    assert list((landing / "billing/exchange_rates").glob("2025-09-08"))
    last_day = "select daily_count from '{}' order by day_on desc limit 1"
    book = settings.books_dir / "active_users_daily.parquet"
    assert duckdb.execute(last_day.format(book)).fetchone() == (0,)
    with pytest.raises(SluiceError, match="Mend that first"):
        simulate.inject(settings, "stale-source")

    (mended,) = simulate.mend(settings)
    assert mended.row_count > 500
    assert len(list((landing / "events/events/2025-09-08").glob("*.jsonl"))) == len(mended.files)
    active = duckdb.execute(last_day.format(book)).fetchone()
    assert active is not None and active[0] > 50


def test_held_back_events_come_with_the_next_day_at_the_latest(settings: Settings) -> None:
    simulate.inject(settings, "stale-source")
    day = simulate.next_day(settings)
    assert day.rows["events.events"] > 1000
    (mended,) = simulate.mend(settings)
    assert mended.files == ()


def test_what_was_injected_is_in_the_record_of_defects(settings: Settings) -> None:
    broken = simulate.inject(settings, "bad-rows")
    counted = duckdb.execute(
        "select sum(row_count) from read_parquet(?) where file = ?",
        [str(settings.books_dir / "defects.parquet"), broken.files[0]],
    ).fetchone()
    assert counted == ((broken.row_count + 1) // 2,)


def test_several_accidents_are_mended_together(settings: Settings) -> None:
    kinds = ["missing-column", "empty-file", "bad-rows"]
    files = [simulate.inject(settings, kind).files[0] for kind in kinds]
    assert len(set(files)) == 3
    assert [mended.kind for mended in simulate.mend(settings)] == kinds
    with pytest.raises(SluiceError, match="No injected accident is open"):
        simulate.mend(settings)


def test_an_unknown_accident_is_refused_with_those_there_are(settings: Settings) -> None:
    with pytest.raises(SluiceError, match="wrong-encoding"):
        simulate.inject(settings, "locusts")
    assert "stale-source" in ACCIDENTS
