"""Playing the company: the same always, in one span or day by day, whatever interrupts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest

from ingestion.simulator import simulate
from warehouse.clock import as_of
from warehouse.errors import SluiceError
from warehouse.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from tests.ingestion.simulator.conftest import Play, Played

Contents = Callable[[Path], dict[str, bytes]]


def test_the_same_seed_and_size_give_the_same_bytes(
    tmp_path: Path, play: Play, short_history: Played, contents: Contents
) -> None:
    again = play(tmp_path, 60)
    assert contents(again.landing) == contents(short_history.landing)
    assert contents(again.books) == contents(short_history.books)


def test_another_seed_gives_another_company(
    tmp_path: Path, play: Play, short_history: Played, contents: Contents
) -> None:
    other = contents(play(tmp_path, 5, seed=8).landing)
    same = contents(short_history.landing)
    leads = [path for path in other if path.startswith("crm/leads/")]
    assert leads and all(other[path] != same.get(path) for path in leads)


def test_a_span_equals_its_single_days_in_files_and_books(
    tmp_path: Path, play: Play, short_history: Played, contents: Contents
) -> None:
    played = play(tmp_path, 45)
    for _ in range(15):
        simulate.next_day(played.settings)
    assert contents(played.landing) == contents(short_history.landing)
    assert contents(played.books) == contents(short_history.books)


def test_a_killed_simulation_carries_on_without_gaps_or_repetitions(
    tmp_path: Path, play: Play, short_history: Played, contents: Contents
) -> None:
    play(tmp_path, 12)
    code = (
        "import time; from ingestion.simulator import simulate;"
        "from warehouse.settings import Settings;"
        f"from pathlib import Path; s = Settings(data_dir=Path({str(tmp_path)!r}));"
        # It does not end before it is killed.
        "simulate.run(s, size='small', seed=7, days=60,"
        " progress=lambda day, done, days: time.sleep(600 * (done == 40)))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, env=os.environ | {"SLUICE_LANDING": ""}
    )
    waited_for = tmp_path / "landing/crm/leads/2025-02-14"
    while not waited_for.exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    clock = json.loads((tmp_path / "landing/_clock.json").read_text())
    assert clock == {"now": "2025-01-13T00:00:00Z"}

    carried_on = play(tmp_path, 60)
    # Where it saves by the clock, a slow machine has less left to play again.
    assert 0 < carried_on.summary.days <= 48
    assert contents(carried_on.landing) == contents(short_history.landing)
    assert contents(carried_on.books) == contents(short_history.books)


def test_a_complete_history_says_so_and_changes_nothing(
    short_history: Played, contents: Contents
) -> None:
    before = contents(short_history.landing)
    summary = simulate.run(short_history.settings, size="small", seed=7)
    assert summary.was_complete
    assert (summary.files, summary.rows) == (0, {})
    assert contents(short_history.landing) == before


def test_the_present_is_the_midnight_that_ends_the_last_day(short_history: Played) -> None:
    assert short_history.summary.first_day == date(2025, 1, 1)
    assert short_history.summary.last_day == date(2025, 3, 1)
    assert as_of(short_history.settings) == datetime(2025, 3, 2, tzinfo=UTC)


def test_the_summary_counts_the_files_and_their_rows(
    short_history: Played, contents: Contents
) -> None:
    files = contents(short_history.landing)
    del files["_clock.json"]
    assert short_history.summary.files == len(files)
    for entity, rows in short_history.summary.rows.items():
        folder = entity.replace(".", "/") + "/"
        mine = [path for path in files if path.startswith(folder)]
        headers = sum(path.endswith(".csv") for path in mine)
        assert sum(files[path].count(b"\n") for path in mine) - headers == rows


def test_progress_is_told_after_every_day(tmp_path: Path) -> None:
    told: list[tuple[date, int, int]] = []
    simulate.run(
        Settings(data_dir=tmp_path, landing=""), days=3,
        progress=lambda day, done, total: told.append((day, done, total)),
    )  # fmt: skip
    assert told == [(date(2025, 1, n), n, 3) for n in (1, 2, 3)]


def test_any_landing_location_will_do(short_history: Played, contents: Contents) -> None:
    settings = Settings(
        data_dir=short_history.settings.data_dir.parent / "elsewhere",
        landing="memory://simulated/landing",
    )
    simulate.run(settings, days=4)
    landed, root = fsspec.core.url_to_fs(settings.landing_url)
    local = contents(short_history.landing)
    paths = {path.removeprefix(root + "/"): path for path in landed.find(root)}
    assert paths.pop("_clock.json")
    assert len(paths) > 10
    assert all(landed.cat_file(full) == local[path] for path, full in paths.items())


@pytest.mark.parametrize(("size", "seed"), [("medium", 7), ("small", 8)])
def test_another_company_is_not_added_to_the_one_that_is_there(
    short_history: Played, size: str, seed: int
) -> None:
    with pytest.raises(SluiceError, match="make clean"):
        simulate.run(short_history.settings, size=size, seed=seed)


def test_a_history_whose_state_is_gone_is_not_carried_on(tmp_path: Path, play: Play) -> None:
    played = play(tmp_path, 2)
    simulate.state_path(played.settings).unlink()
    with pytest.raises(SluiceError, match="make clean"):
        simulate.run(played.settings)


def test_a_damaged_state_is_named(tmp_path: Path, play: Play) -> None:
    played = play(tmp_path, 2)
    simulate.state_path(played.settings).write_bytes(b"not what it was")
    with pytest.raises(SluiceError, match=r"state\.npz cannot be read"):
        simulate.next_day(played.settings)


def test_the_next_day_needs_a_company(tmp_path: Path) -> None:
    with pytest.raises(SluiceError, match="sluice simulate"):
        simulate.next_day(Settings(data_dir=tmp_path, landing=""))


def test_two_processes_do_not_play_at_once(tmp_path: Path, play: Play) -> None:
    played = play(tmp_path, 2)
    with (
        simulate.only_player(played.settings),
        pytest.raises(SluiceError, match="Another process is simulating"),
    ):
        simulate.next_day(played.settings)
