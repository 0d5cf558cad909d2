"""PostgreSQL: what indexes and statistics give to usual questions, and what a publish costs.

The questions are asked of the same published rows with what a publish makes, and again after its
indexes are dropped. A publish of one more day is measured after a short and after a long history.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from tests.postgres_server import running
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
QUESTIONS: Final = {
    "one row by its key": "select * from fct_sessions where session_id = 's1234567'",
    "one day": "select count(*), sum(seconds) from fct_sessions where started_on = '2025-06-01'",
    "a week by country": "select country, count(*) from fct_sessions inner join dim_accounts"
    " using (account_id) where started_on between '2025-06-01' and '2025-06-07' group by country",
    "one account's history": "select started_on, count(*) from fct_sessions"
    " where account_id = 'a123' group by started_on",
    "all of it by month": "select date_trunc('month', started_on), count(*) from fct_sessions"
    " group by 1",
}


def questions(days: int = 400, rounds: int = 7) -> dict[str, float]:
    """Seconds without indexes ÷ seconds with them, the median of some rounds of each."""
    with warehouse() as (settings, connection):
        fill(connection, days)
        publish(settings, (SESSIONS, ACCOUNTS), "bench")
        with_them = {name: _asked(settings, sql, rounds) for name, sql in QUESTIONS.items()}
        for (name,) in connection.execute(
            "select indexname from pg_indexes where schemaname = 'snapshots' and indexname !~ '^_'"
        ).fetchall():
            connection.execute(f'drop index snapshots."{name}"')
        without = {name: _asked(settings, sql, rounds) for name, sql in QUESTIONS.items()}
    return {
        f"PostgreSQL, {name}: without indexes ÷ with": without[name] / with_them[name]
        for name in QUESTIONS
    }


def one_more_day(short: int = 50, long: int = 400) -> dict[str, float]:
    """Wall time of publishing one day more, and of taking it back, after two histories."""
    published, rolled = {}, {}
    for days in (short, long):
        with warehouse() as (settings, connection):
            fill(connection, days)
            first = _seconds(partial(publish, settings, (SESSIONS, ACCOUNTS), "1"))
            again, back = [], []
            for build in range(2, 7):
                more(connection, days + build, build)
                tables = (_built(SESSIONS, build), ACCOUNTS)
                again.append(_seconds(partial(publish, settings, tables, "again")))
                newest, before = snapshots.ids(settings)[:2]
                back.append(_seconds(partial(roll_back, settings, before)))
                roll_back(settings, newest)
            published[days], rolled[days] = median(again), median(back)
    return {
        "PostgreSQL, publish of one more day ÷ first publish": published[long] / first,
        "PostgreSQL, publish of one more day: long ÷ short history": published[long]
        / published[short],
        "PostgreSQL, roll back of a day: long ÷ short history": rolled[long] / rolled[short],
        "PostgreSQL, publish of one more day, seconds": published[long],
        "PostgreSQL, roll back of a day, seconds": rolled[long],
    }


@contextmanager
def warehouse() -> Iterator[tuple[Settings, Connection]]:
    """A server as it is delivered, but for its size."""
    durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    with (
        running({**durable, "shared_buffers": "512MB"}) as server,
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
    ):
        settings = Settings(data_dir=Path(folder), target="postgres", postgres=server.dsn)
        with closing(workshop.connect(settings)) as connection:
            yield settings, connection


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


def _asked(settings: Settings, sql: str, rounds: int) -> float:
    with closing(snapshots.open_published(settings)) as session:
        session.execute(sql).fetchall()
        return median(_seconds(partial(_all, session, sql)) for _ in range(rounds))


def _all(session: Connection, sql: str) -> object:
    return session.execute(sql).fetchall()


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    for title, value in {**questions(), **one_more_day()}.items():
        print(f"{value:9.3f}  {title}")
