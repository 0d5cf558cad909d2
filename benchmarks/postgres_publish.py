"""PostgreSQL: a publish of one more day, and taking it back, after a short and a long history."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from pydantic import SecretStr

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Figures
from warehouse import snapshots, workshop
from warehouse.connection import Connection
from warehouse.publish import PublicTable, publish
from warehouse.settings import Settings
from warehouse.switching import roll_back

PER_DAY: Final = 5_000
SESSIONS = PublicTable(
    "fct_sessions",
    "curated.fct_sessions",
    True,
    build="1",
    partition_by="started_on",
    key=("session_id",),
    indexes=(("account_id",),),
)
ACCOUNTS = PublicTable("dim_accounts", "curated.dim_accounts", True, build="1", key=("account_id",))


def publishing(bench: Bench) -> None:
    one_more_day(bench.figures)


def one_more_day(figures: Figures, short: int = 50, long: int = 400) -> None:
    """Wall time of publishing one day more, and of taking it back, after two histories."""
    published, rolled = {}, {}
    for days in (short, long):
        with server() as settings, closing(workshop.connect(settings)) as connection:
            fill(connection, days)
            first = seconds(partial(publish, settings, (SESSIONS, ACCOUNTS), "1"))
            again, back = [], []
            for build in range(2, 7):
                more(connection, days + build, build)
                tables = (_built(SESSIONS, build), ACCOUNTS)
                again.append(seconds(partial(publish, settings, tables, "again")))
                newest, before = snapshots.ids(settings)[:2]
                back.append(seconds(partial(roll_back, settings, before)))
                roll_back(settings, newest)
            published[days], rolled[days] = median(again), median(back)
    tell = figures.tell
    tell("PostgreSQL, publish of one more day ÷ first publish (wall)", published[long] / first)
    tell("PostgreSQL, publish of one more day: long ÷ short history (wall)",
         published[long] / published[short], aim=Aim(0.8, 1.2))  # fmt: skip
    tell("PostgreSQL, roll back of a day: long ÷ short history (wall)",
         rolled[long] / rolled[short], aim=Aim(0.8, 1.2))  # fmt: skip
    tell("PostgreSQL, publish of one more day", published[long], "s")
    tell("PostgreSQL, roll back of a day", rolled[long], "s")


@contextmanager
def server() -> Iterator[Settings]:
    """A server as it is delivered, but for its size."""
    from postgres_server import running

    durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    with (
        running({**durable, "shared_buffers": "512MB"}) as started,
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
    ):
        yield Settings(data_dir=Path(folder), target="postgres", postgres=SecretStr(started.dsn))


def fill(connection: Connection, days: int) -> None:
    connection.execute(
        f"""
        create schema curated; create schema platform;
        create table platform.touches (model varchar, build_id bigint, partition_on date);
        create table curated.dim_accounts as select 'a' || i as account_id,
            'country ' || i % 40 as country from generate_series(0, 9999) i;
        create table curated.fct_sessions as select 's' || i as session_id,
            'u' || i % 70001 as user_id, 'a' || i % 9973 as account_id, i % 3600 as seconds,
            date '2025-01-01' + i / {PER_DAY} as started_on
            from generate_series(0, {PER_DAY * days - 1}) i;
        create index on curated.fct_sessions (started_on);
        insert into platform.touches
            select distinct 'fct_sessions', 1, started_on from curated.fct_sessions;
        analyze;
        """
    )


def more(connection: Connection, day: int, build: int) -> None:
    connection.execute(
        f"""
        insert into curated.fct_sessions select 'n{build}-' || i, 'u' || i, 'a' || i % 9973, i,
            date '2025-01-01' + {day} from generate_series(1, {PER_DAY}) i;
        insert into platform.touches values ('fct_sessions', {build}, date '2025-01-01' + {day});
        """
    )


def _built(table: PublicTable, build: int) -> PublicTable:
    return PublicTable(
        table.name, table.relation, True, build=str(build), partition_by=table.partition_by,
        key=table.key, indexes=table.indexes,
    )  # fmt: skip


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
