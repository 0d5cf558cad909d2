"""What a publish costs after a small change, against the first one of the same tables."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Figures
from warehouse import snapshots, workshop
from warehouse.publish import PublicTable, publish
from warehouse.settings import Settings

EVENTS = PublicTable("events", "marts.events", True, build="1", partition_by="day_on")
OTHERS = tuple(
    PublicTable(f"other_{number}", f"marts.other_{number}", True, build="1") for number in range(10)
)


def publishing(bench: Bench) -> None:
    after_a_small_change(bench.figures)


def after_a_small_change(figures: Figures, rows: int = 5_000_000, rounds: int = 5) -> None:
    """CPU of publishing one day more and one small table rebuilt ÷ CPU of the first publish."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        settings = Settings(data_dir=Path(folder), as_of="2026-01-01T00:00:00+00:00")
        connection = workshop.connect(settings)
        try:
            _fill(settings, rows)
            first = _cpu(settings, (EVENTS, *OTHERS))
            again = []
            for build in range(2, rounds + 2):
                day = f"date '2026-04-{build:02}'"
                connection.execute(
                    f"insert into marts.events select i, i % 1000, 'new', {day}"
                    " from range(20_000) r(i);"
                    f"insert into platform.touches values ('events', {build}, {day});"
                    f"create or replace table marts.other_0 as select i + {build} as i"
                    " from range(10_000) r(i)"
                )
                changed = [_built(each, build) for each in (EVENTS, OTHERS[0])]
                again.append(_cpu(settings, (*changed, *OTHERS[1:])))
            size = snapshots.kept(settings)[0].size_bytes
        finally:
            connection.close()
    figures.tell("DuckDB, publish after a small change ÷ first publish (CPU)", min(again) / first,
                 aim=Aim(at_most=0.2))  # fmt: skip
    figures.tell("DuckDB, published file", size / 1e6, "MB")


def _fill(settings: Settings, rows: int) -> None:
    connection = workshop.connect(settings)
    connection.execute(
        f"""
        create schema marts; create schema platform;
        create table platform.touches (model varchar, build_id bigint, partition_on date);
        create table marts.events as select i as event_id, hash(i) % 1000000 as user_key,
            'name ' || (i % 97) as said, date '2025-01-01' + (i // 20000)::int as day_on
            from range({rows}) r(i);
        insert into platform.touches select distinct 'events', 1, day_on from marts.events;
        """
    )
    for each in OTHERS:
        connection.execute(f"create table {each.relation} as select i from range(10_000) r(i)")
    connection.close()


def _built(table: PublicTable, build: int) -> PublicTable:
    return PublicTable(
        table.name, table.relation, True, build=str(build), partition_by=table.partition_by
    )


def _cpu(settings: Settings, tables: tuple[PublicTable, ...]) -> float:
    started = time.process_time()
    publish(settings, tables, "bench")
    return time.process_time() - started
