"""Models that rebuild only touched days: the same rows in every order of arrival, or none of it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from macros_project import Project, Row

MODELS = ("stg_clicks", "clicks_daily", "clicks_contracted")
BOOKS = (
    "progress", "touches", "batch_partitions", "row_counts", "backfills", "rebuilds",
    "rebuild_progress",
)  # fmt: skip
Click = tuple[int, int, str]
Batch = Sequence[Click]


def one_batch_a_day(days: int = 9, clicks_a_day: int = 20) -> list[Batch]:
    """Clicks as they arrive: some days late, some twice."""
    chance = random.Random(7)
    arriving: list[list[Click]] = [[] for _ in range(days)]
    for number in range(days * clicks_a_day):
        day = number // clicks_a_day
        click = (number, number % 5, f"2025-01-{day + 1:02} {chance.randrange(24):02}:15:00+00:00")
        late = chance.choice([0] * 8 + [1, 4])
        for arrival in {day + late, day + late + chance.choice([0] * 9 + [2])}:
            arriving[min(arrival, days - 1)].append(click)
    return arriving


def land(project: Project, batches: Iterable[Batch], first_id: int = 1) -> None:
    values = [
        f"({click}, {user}, '{at}', {batch_id})"
        for batch_id, batch in enumerate(batches, first_id)
        for click, user, at in batch
    ]
    project.execute(
        "create schema if not exists raw_clicks",
        "create table if not exists raw_clicks.clicks (click_id bigint, user_id bigint,"
        " clicked_at timestamp with time zone, _batch_id bigint)",
        "insert into raw_clicks.clicks values " + ", ".join(values),
    )


def build(project: Project, *arguments: str, models: Sequence[str] = MODELS) -> None:
    project.dbt("run", "--select", *models, *arguments)


def built(project: Project) -> dict[str, list[Row]]:
    return {model: project.rows(f"main.{model}") for model in MODELS}


def books(project: Project) -> dict[str, list[Row]]:
    return {book: project.rows(f"main_platform.{book}") for book in BOOKS}


def in_one_go(project: Project, batches: Sequence[Batch]) -> dict[str, list[Row]]:
    project.begin_anew()
    land(project, batches)
    build(project)
    return built(project)


def test_every_order_of_arrival_gives_the_rows_of_a_full_build(project: Project) -> None:
    batches = one_batch_a_day()
    expected = in_one_go(project, batches)
    assert len(expected["stg_clicks"]) == 9 * 20
    shuffled = random.Random(3).sample(batches, len(batches))
    repeated = [batches[0], batches[3], *batches[:6], batches[2], *batches[6:], batches[8]]
    # The second one holds the plain order, too.
    for order in (shuffled, repeated):
        project.begin_anew()
        for number in range(0, len(order), 3):
            land(project, order[number : number + 3], first_id=10 * number + 1)
            build(project)
        assert built(project) == expected
    build(project, "--full-refresh")
    assert built(project) == expected


def test_a_run_without_new_batches_writes_nothing(project: Project) -> None:
    in_one_go(project, one_batch_a_day(3))
    before = built(project), books(project)
    build(project)
    assert (built(project), books(project)) == before


def test_only_touched_days_are_rebuilt(project: Project) -> None:
    in_one_go(project, one_batch_a_day(6))
    project.execute("update main.stg_clicks set user_id = 99")
    land(project, [[(900, 1, "2025-01-03 12:00:00+00:00")]], first_id=50)
    build(project, models=["stg_clicks"])
    kept = {day for (day,) in project.execute(
        "select distinct clicked_on from main.stg_clicks where user_id = 99")}  # fmt: skip
    rebuilt = {day for (day,) in project.execute(
        "select distinct clicked_on from main.stg_clicks where user_id <> 99")}  # fmt: skip
    assert {str(day) for day in rebuilt} == {"2025-01-03"}
    assert not kept & rebuilt


def test_days_that_are_asked_for_are_rebuilt_once_and_so_is_what_reads_them(
    project: Project,
) -> None:
    expected = in_one_go(project, one_batch_a_day(6))
    project.execute(
        "delete from main.stg_clicks where clicked_on in ('2025-01-02', '2025-01-05')",
        "update main.stg_clicks set user_id = 99 where clicked_on = '2025-01-03'",
        "insert into main_platform.backfills values ('stg_clicks', '2025-01-02'),"
        " ('stg_clicks', '2025-01-05'), ('stg_clicks', '2025-01-02')",
    )
    project.execute("delete from main.clicks_contracted where clicked_on = '2025-01-05'")
    build(project)
    for model in MODELS:
        kept = [
            row for row in built(project)[model] if "datetime.date(2025, 1, 3)" not in repr(row)
        ]
        assert kept == [
            row for row in expected[model] if "datetime.date(2025, 1, 3)" not in repr(row)
        ]
    # The day that nobody asked for was left alone.
    assert len(project.execute("select * from main.stg_clicks where user_id = 99")) == 20
    assert project.rows("main_platform.backfills") == []
    before = built(project), books(project)
    build(project)
    assert (built(project), books(project)) == before


def test_sealed_days_stay_as_they_are_and_nothing_is_built_whole_over_them(
    project: Project,
) -> None:
    expected = in_one_go(project, one_batch_a_day(4))
    project.execute(
        "insert into main_platform.sealed values"
        " ('stg_clicks', 'clicks.clicks', date '2025-01-01', 4)",
        "delete from raw_clicks.clicks where clicked_at < '2025-01-02'",
        "insert into main_platform.backfills values ('stg_clicks', date '2025-01-01')",
    )
    # A late row, and somebody asks for the day: neither costs the day its rows.
    land(project, [[(990, 1, "2025-01-01 12:00:00+00:00")]], first_id=60)
    build(project, models=["stg_clicks"])
    assert project.rows("main.stg_clicks") == expected["stg_clicks"]
    # The batch is read: the next build does not look at it again.
    assert project.execute(
        "select position from main_platform.progress"
        " where model = 'stg_clicks' and input = 'clicks.clicks'"
    ) == [(60,)]
    land(project, [[(991, 1, "2025-01-03 12:00:00+00:00")]], first_id=61)
    build(project, models=["stg_clicks"])
    rows = project.rows("main.stg_clicks")
    assert [row for row in rows if row[0] != 991] == expected["stg_clicks"] and len(rows) == 81
    [refused] = project.dbt("run", "--select", "stg_clicks", "--full-refresh", fails=True)
    assert "rows of 1 days (2025-01-01 to 2025-01-01)" in refused.message
    assert "`sluice replay clicks`" in refused.message
    assert project.rows("main.stg_clicks") == rows


def test_the_books_say_how_many_rows_each_built_day_held(project: Project) -> None:
    in_one_go(project, one_batch_a_day(4))
    land(project, [[(900, 1, "2025-01-03 12:00:00+00:00")]], first_id=50)
    build(project)
    for model in MODELS:
        counted = project.execute(
            "select partition_on, row_count from main_platform.row_counts"
            f" where model = '{model}' and row_count > 0 order by 1"
        )
        held = project.execute(
            f"select {'counted_on' if model == 'clicks_daily' else 'clicked_on'}, count(*)"
            f" from main.{model} group by 1 order by 1"
        )
        assert counted == held
    # A workshop from before these books: counted whole at its next build.
    project.execute("delete from main_platform.row_counts")
    land(project, [[(901, 1, "2025-01-02 12:00:00+00:00")]], first_id=51)
    build(project, models=["stg_clicks"])
    assert len(project.execute(
        "select * from main_platform.row_counts where model = 'stg_clicks'")) == 4  # fmt: skip


def test_a_failure_after_the_writes_leaves_the_state_before_them(project: Project) -> None:
    in_one_go(project, one_batch_a_day(4))
    before = built(project), books(project)
    land(project, [[(901, 1, "2025-01-02 12:00:00+00:00")]], first_id=50)
    for how in ([], ["--full-refresh"]):
        project.dbt("run", "--select", "clicks_contracted", *how, fails=True,
                    SLUICE_TEST_FAIL="clicks_contracted")  # fmt: skip
        assert (built(project), books(project)) == before
    build(project)
    assert (901, 1) in {row[:2] for row in built(project)["clicks_contracted"]}


def test_rows_that_break_the_contract_fail_the_build_and_keep_the_old_rows(
    project: Project,
) -> None:
    in_one_go(project, one_batch_a_day(4))
    before = project.rows("main.clicks_contracted")
    project.execute(
        "insert into raw_clicks.clicks values (902, null, '2025-01-02 12:00:00+00:00', 50)"
    )
    project.dbt("run", "--select", *MODELS, fails=True)
    assert project.rows("main.clicks_contracted") == before
    project.execute(
        "delete from raw_clicks.clicks where click_id = 902",
        "insert into raw_clicks.clicks values (902, 4, '2025-01-02 12:00:00+00:00', 51)",
    )
    build(project)
    assert built(project)["clicks_contracted"] != before


def test_a_killed_build_leaves_the_state_before_it(on_duckdb: Project) -> None:
    in_one_go(on_duckdb, one_batch_a_day(4))
    land(on_duckdb, [[(903, 1, "2025-01-02 12:00:00+00:00")]], first_id=50)
    build(on_duckdb, models=["stg_clicks"])
    on_duckdb.continue_with_a_copy()  # this process keeps the first file open
    before = built(on_duckdb), books(on_duckdb)
    written = on_duckdb.folder.glob("target/run/**/clicks_contracted.sql")
    for path in written:
        path.unlink()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("dbt"), "run", "--select", "clicks_contracted",
         *on_duckdb.places],
        env={**os.environ, **on_duckdb.environment, "SLUICE_TEST_HANG": "clicks_contracted"},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not list(on_duckdb.folder.glob("target/run/**/clicks_contracted.sql")):
            assert process.poll() is None, "the build ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1)  # now it is in the endless statement after all its writes
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (built(on_duckdb), books(on_duckdb)) == before
    build(on_duckdb)
    assert (903, 1) in {row[:2] for row in built(on_duckdb)["clicks_contracted"]}


def test_a_day_that_a_rebuild_no_longer_has_disappears_downstream(project: Project) -> None:
    in_one_go(project, one_batch_a_day(5))
    project.execute("delete from raw_clicks.clicks where clicked_at >= '2025-01-05'")
    project.dbt("run", "--select", "stg_clicks", "--full-refresh")
    build(project)
    assert max(str(row[0]) for row in built(project)["clicks_daily"]) == "2025-01-04"


def test_an_empty_build_leaves_rows_and_positions_alone(project: Project) -> None:
    batches = one_batch_a_day(4)
    expected = in_one_go(project, batches)
    before = books(project)
    build(project, "--empty")
    assert (built(project), books(project)) == (expected, before)
    project.begin_anew()
    land(project, batches)
    build(project, "--empty")
    assert set(map(len, built(project).values())) == {0}
    build(project)
    assert built(project) == expected


def test_a_unit_test_sees_the_whole_definition(project: Project) -> None:
    in_one_go(project, one_batch_a_day(1))
    (result,) = project.dbt("test", "--select", "clicks_daily,test_type:unit")
    assert str(result.status) == "pass"


def test_a_changed_definition_rebuilds_everything(on_duckdb: Project) -> None:
    in_one_go(on_duckdb, one_batch_a_day(4))
    model = on_duckdb.folder / "models" / "touched" / "clicks_daily.sql"
    text = model.read_text()
    manifest = on_duckdb.manifest
    try:
        model.write_text(text.replace("count(*) as both_count", "2 * count(*) as both_count"))
        on_duckdb.manifest = None
        before = on_duckdb.rows("main.clicks_daily")
        build(on_duckdb)
        doubled = [(day, own, 2 * both) for day, own, both in before]
        assert on_duckdb.rows("main.clicks_daily") == doubled
    finally:
        model.write_text(text)
        on_duckdb.manifest = manifest


def ask(project: Project, model: str, *days: int) -> None:
    for day in days:
        for book in ("backfills", "rebuilds"):
            project.execute(
                f"insert into main_platform.{book} select '{model}', date '2025-01-{day:02}'"
                f" where '{book}' = 'backfills' or not exists (select 1 from"
                f" main_platform.rebuild_progress where model = '{model}')"
            )


def test_a_rebuild_in_parts_is_aside_until_it_is_whole(project: Project) -> None:
    batches = one_batch_a_day(6)
    expected = in_one_go(project, batches)
    project.begin_anew()
    land(project, batches[:5])
    build(project)
    # What nobody would find otherwise; a row of a day that no input has any more stays away, too.
    project.execute(
        "update main.stg_clicks set user_id = 99",
        "insert into main.stg_clicks select * from main.stg_clicks where clicked_on = '2025-01-02'",
    )
    odd = project.rows("main.stg_clicks")
    for part in ((1, 2), (2, 3, 9)):
        ask(project, "stg_clicks", *part)
        build(project, models=["stg_clicks"])
        assert project.rows("main.stg_clicks") == odd
    owed = project.rows("main_platform.rebuilds")
    assert [str(day) for _, day in owed] == ["2025-01-04", "2025-01-05"]
    # Meanwhile it is built as ever: what lands is in it, and will be in what is aside.
    land(project, batches[5:], first_id=6)
    build(project)
    assert project.rows("main.stg_clicks") != odd
    ask(project, "stg_clicks", 4, 5)
    build(project, models=["stg_clicks"])
    # Nothing is owed: the next build takes over, the one after it what has come since.
    build(project)
    assert not project.rows("main_platform.rebuild_progress")
    build(project)
    assert built(project) == expected
    assert not project.rows("main_platform.rebuilds")


def test_a_changed_small_input_rebuilds_everything(project: Project) -> None:
    in_one_go(project, one_batch_a_day(3))
    project.dbt("build", "--select", "activity", "clicks_of_teams", "--exclude", "test_type:data")
    assert len(project.rows("main.clicks_of_teams")) == 2 * 3
    project.execute("delete from main.activity where team = 'blue'")
    build(project, models=["clicks_of_teams"])
    assert len(project.rows("main.clicks_of_teams")) == 3


def test_many_rows_written_in_one_transaction_are_all_found(on_duckdb: Project) -> None:
    """DuckDB 2.0.0 forgets rows when a table is written twice in one transaction."""
    on_duckdb.begin_anew()
    on_duckdb.execute(
        "create schema raw_clicks",
        "create table raw_clicks.clicks as select i as click_id, i % 7 as user_id,"
        " timestamptz '2025-01-01 00:00:00+00' + to_seconds(i * 10) as clicked_at,"
        " 1 as _batch_id from range(200000) as r(i)",
    )
    build(on_duckdb)
    for model in ("stg_clicks", "clicks_contracted"):
        assert on_duckdb.execute(
            f"select count(*) from main.{model} where clicked_on >= date '2025-01-01'"
        ) == [(200000,)]


WRONG = {
    "without_days": (
        "materialized='touched_partitions'",
        "needs partition_by and touched_by",
    ),
    "incremental_of_dbt": (
        "materialized='incremental'",
        "write materialized='touched_partitions'",
    ),
    "misspelt": (
        "materialized='touched_partitions', partition_by='clicked_on',"
        " touched_by=[{'modle': 'stg_clicks'}]",
        "touched_by knows source, model and whole",
    ),
}


def test_a_wrong_config_says_how_to_write_it(on_duckdb: Project) -> None:
    in_one_go(on_duckdb, one_batch_a_day(2))
    folder = on_duckdb.folder / "models" / "wrong"
    folder.mkdir()
    for name, (config, _) in WRONG.items():
        (folder / f"{name}.sql").write_text(
            "{{ config(" + config + ") }} select * from {{ ref('stg_clicks') }}"
            " where {{ sluice_macros.within_touched('clicked_on') }}"
        )
    manifest, on_duckdb.manifest = on_duckdb.manifest, None
    try:
        results = on_duckdb.dbt("run", "--select", "path:models/wrong", fails=True)
    finally:
        shutil.rmtree(folder)
        on_duckdb.manifest = manifest
    told = {result.node.name: str(result.message) for result in results}
    assert set(told) == set(WRONG)
    for name, (_, remedy) in WRONG.items():
        assert remedy in told[name]
