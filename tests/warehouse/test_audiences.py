"""The default snapshot holds masked columns only; their clear copies are for the platform alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest
from people_shop import KEY, MASKED, PEOPLE, PLANTED, VISITS, build, holding, rows, settings_in

from warehouse import platform_log, retention, snapshots, switching, workshop
from warehouse.crash_points import CRASH_AT
from warehouse.errors import PublishError
from warehouse.masks import mask
from warehouse.publish import publish
from warehouse.settings import PROJECT_ROOT, Settings


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    made = settings_in(tmp_path)
    build(made)
    return made


def modes(here: Settings) -> set[int]:
    return {
        stat.S_IMODE(path.stat().st_mode) for path in snapshots.clear_folder(here).glob("*.duckdb")
    }


def test_consumers_see_hashes_that_join_and_the_privileged_see_what_they_stand_for(
    here: Settings,
) -> None:
    publish(here, MASKED, "run-1")
    shown = "select email, born_on, note from people where person_id = 7"
    assert rows(here, shown) == [(mask(KEY, PLANTED), mask(KEY, "1970-01-08"), "user 7")]
    assert rows(here, shown, clear=True) == [(PLANTED, date(1970, 1, 8), "user 7")]
    assert rows(here, "select email, born_on is null from people where person_id = 8") == [
        (None, False)
    ]
    joined = "select count(*) from visits join people on visitor = email"
    assert rows(here, joined) == rows(here, joined, clear=True) == [(2990,)]
    [[kind]] = rows(here, "select distinct typeof(born_on) from people")
    assert kind == "VARCHAR"
    with duckdb.connect(str(here.published_path), read_only=True) as connection:
        comments = connection.execute(
            "select comment from duckdb_columns() where column_name = 'email'"
        ).fetchall()
    assert comments == [("Where to write.",)]


def test_the_clear_file_is_the_platforms_own(here: Settings) -> None:
    first = publish(here, MASKED, "run-1")
    folder = snapshots.clear_folder(here)
    assert holding(here) == {f"privileged/{first.snapshot_id}.duckdb"}
    assert modes(here) == {0o600} and stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    publish(here, MASKED, "run-2")
    assert modes(here) == {0o600} and stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_column_that_becomes_personal_leaves_every_kept_snapshot_to_the_last_byte(
    here: Settings,
) -> None:
    first = publish(here, [PEOPLE, VISITS], "run-1")
    second = publish(here, [PEOPLE, VISITS], "run-2")
    assert not snapshots.clear_folder(here).exists()
    assert {f"snapshots/{each.snapshot_id}.duckdb" for each in (first, second)} == holding(here)
    # One of them stays as it was: masked all the same.
    stale = replace(MASKED[0], fresh=False, reason="gate raw.shop is closed")
    third = publish(here, [stale, MASKED[1]], "run-3")
    ids = [each.snapshot_id for each in (first, second, third)]
    assert holding(here) == {f"privileged/{each}.duckdb" for each in ids}
    for each in ids:
        asked = "select email from people where person_id = 7"
        assert rows(here, asked, each) == [(mask(KEY, PLANTED),)]
        assert rows(here, asked, each, clear=True) == [(PLANTED,)]
        assert snapshots.show(here, each).tables[0].row_count == 300
    table = third.table("people")
    assert table is not None and (table.state, table.shows_snapshot) == ("stale", ids[1])
    # What is as it should be is not written again.
    before = {each: snapshots.snapshot_path(here, each).stat().st_ino for each in ids}
    publish(here, MASKED, "run-4")
    assert {each: snapshots.snapshot_path(here, each).stat().st_ino for each in ids} == before
    assert modes(here) == {0o600}


def test_another_key_masks_everything_anew(here: Settings, tmp_path: Path) -> None:
    first = publish(here, MASKED, "run-1")
    other = Settings(**{**here.model_dump(), "mask_key": "the key that came after"})
    stale = replace(MASKED[1], fresh=False, reason="gate raw.shop is closed")
    second = publish(other, [MASKED[0], stale], "run-2")
    # At once, and not only when older snapshots are looked through.
    event = next(iter(platform_log.read_newest_first(here, snapshots.KIND)))
    assert {each["name"]: each["written"] for each in event["tables"]}["people"] == "whole"
    new = mask("the key that came after", PLANTED)
    for snapshot_id in (first.snapshot_id, second.snapshot_id):
        for sql in ("select email from people where person_id = 7",
                    f"select distinct visitor from visits where visitor = '{new}'"):  # fmt: skip
            assert rows(other, sql, snapshot_id) == [(new,)]
    assert not holding(here, str(mask(KEY, PLANTED)))


def test_only_what_changed_is_written_in_both_files(here: Settings) -> None:
    first = publish(here, MASKED, "run-1")
    with workshop.connect(here) as connection:
        connection.execute("delete from marts.visits where day_on = date '2026-03-04'")
        connection.execute(
            f"insert into marts.visits values (9000, '{PLANTED}', date '2026-03-04')"
        )
        connection.execute(
            "update platform.touches set build_id = 2 where partition_on = date '2026-03-04'"
        )
    second = publish(here, [MASKED[0], replace(MASKED[1], build="run-2")], "run-2")
    event = next(iter(platform_log.read_newest_first(here, snapshots.KIND)))
    assert {each["name"]: each["written"] for each in event["tables"]} == {
        "people": "kept", "visits": "days",
    }  # fmt: skip
    asked = "select visit_id, visitor, day_on from visits order by all"
    with workshop.connect(here) as connection:
        built = connection.execute(asked.replace("visits", "marts.visits")).fetchall()
    assert rows(here, asked, clear=True) == built
    assert rows(here, asked) == [(number, mask(KEY, who), day) for number, who, day in built]
    assert blocks(here, first.snapshot_id) == blocks(here, second.snapshot_id) != set()


def blocks(here: Settings, snapshot_id: str) -> set[tuple[object, ...]]:
    """Where the clear copy of a table that did not change lies in its file."""
    path = snapshots.clear_path(here, snapshot_id)
    with duckdb.connect(str(path), read_only=True) as connection:
        return set(
            connection.execute(
                "select column_name, segment_type, block_id, block_offset"
                " from pragma_storage_info('published.people') where block_id >= 0"
            ).fetchall()
        )


def test_rolling_back_pinning_and_letting_go_hold_for_both_files(tmp_path: Path) -> None:
    here = settings_in(tmp_path, keep_snapshots=2, keep_days=0)
    build(here)
    first = publish(here, MASKED, "run-1")
    retention.pin(here, first.snapshot_id, "an audit", "ada")
    for number in (2, 3, 4):
        # Each has something new to say.
        with workshop.connect(here) as connection:
            new = f"update marts.people set email = 'new{number}@example.com' where person_id = 7"
            connection.execute(new)
        publish(here, [replace(each, build=f"run-{number}") for each in MASKED], f"run-{number}")
    kept = {path.stem for path in snapshots.clear_folder(here).glob("*.duckdb")}
    assert kept == set(snapshots.ids(here)) and first.snapshot_id in kept and len(kept) == 3
    asked = "select email from people where person_id = 7"
    assert rows(here, asked, clear=True) == [("new4@example.com",)]
    switching.roll_back(here, first.snapshot_id)
    assert rows(here, asked, clear=True) == [(PLANTED,)]
    assert rows(here, asked) == [(mask(KEY, PLANTED),)]


@pytest.mark.parametrize("point", ["publish.clear_written", "publish.clear_kept"])
def test_killed_between_the_two_files_nobody_sees_either(here: Settings, point: str) -> None:
    before = publish(here, MASKED, "run-1")
    script = (
        "import sys; sys.path.insert(0, 'tests'); from pathlib import Path\n"
        "from people_shop import MASKED, settings_in\n"
        "from warehouse.publish import publish\n"
        f"publish(settings_in(Path({str(here.data_dir.parent)!r})), MASKED, 'run-2')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, env={**os.environ, CRASH_AT: point}
    )
    assert done.returncode == -9
    assert snapshots.current_id(here) == before.snapshot_id
    assert rows(here, "select count(*) from people", clear=True) == [(300,)]
    after = publish(here, MASKED, "run-3")
    files = {path.name for path in snapshots.clear_folder(here).iterdir()}
    assert files == {f"{each.snapshot_id}.duckdb" for each in (before, after)}


def test_a_clear_file_that_one_may_not_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        here = settings_in(Path(folder))
        build(here)
        publish(here, MASKED, "run-1")
        child = os.fork()
        if child == 0:
            os._exit(_what_another_user_hears(here))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _what_another_user_hears(here: Settings) -> int:
    """0 if the masked file can be read, and the clear one is refused in plain words."""
    if os.geteuid() == 0:
        os.setuid(65534)
    else:
        snapshots.clear_folder(here).chmod(0)
    if rows(here, "select count(*) from people") != [(300,)]:
        return 1
    try:
        snapshots.open_published(here, clear=True)
    except PublishError as error:
        return 0 if "Only the platform's own user may read" in str(error) else 2
    return 3
