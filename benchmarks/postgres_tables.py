"""PostgreSQL: usual questions to the big published tables of the history, kept in four ways.

With what a publish gives them (indexes by key, day and account; statistics), with none of it,
divided by month with the same indexes, and with BRIN in place of the index by day. The tables are
those that the history makes: built on DuckDB, copied, published by the platform's own publish.
Times are of CPU in the session that asks, without parallel workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

import duckdb

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Figures
from benchmarks.postgres_publish import server
from catalog.catalog import load_catalog
from quality.downstream import publish_plan
from warehouse import snapshots, structure, workshop
from warehouse.connection import Connection, named
from warehouse.copying import copy_rows
from warehouse.postgres import PostgresConnection
from warehouse.publish import PublicTable, publish
from warehouse.settings import Settings
from warehouse.workshop import connect_file

BIG: Final = ("fct_sessions", "fct_user_activity_daily", "fct_feature_usage_daily")
SMALL: Final = ("dim_accounts",)
WEEK: Final = "between date '{day}' - 6 and date '{day}'"
QUESTIONS: Final = {
    "one session by its key": "select * from {fct_sessions} where session_id = '{session}'",
    "one day's sessions": "select count(*), avg(duration_seconds) from {fct_sessions}"
    " where started_on = date '{day}'",
    "a week's sessions by country": "select country, count(*) from {fct_sessions} s inner join"
    f" {{dim_accounts}} a using (account_id) where started_on {WEEK} group by country",
    "active users of a week": "select count(distinct user_id) from {fct_user_activity_daily}"
    f" where active_on {WEEK}",
    "one account's sessions": "select started_on, count(*) from {fct_sessions}"
    " where account_id = '{account}' group by started_on",
    "one account's features": "select feature, sum(event_count) from {fct_feature_usage_daily}"
    " where account_id = '{account}' group by feature",
    "features of all time by month": "select date_trunc('month', used_on), feature,"
    " sum(event_count) from {fct_feature_usage_daily} group by 1, 2",
}
WHOLE: Final = "features of all time by month"
"""Reads every row, whatever there is to help."""


@dataclass(frozen=True)
class Way:
    """How the big tables are kept: where they are found, by the names that consumers use."""

    name: str
    tables: Mapping[str, str]


def asking(bench: Bench) -> None:
    measure(Settings(data_dir=bench.built), bench.figures)


def measure(history: Settings, figures: Figures, rounds: int = 5) -> None:
    """Of a data folder in which every model is built."""
    with (
        server() as settings,
        closing(connect_file(history)) as built,
        closing(workshop.connect(settings)) as session,
    ):
        assert isinstance(session, PostgresConnection)
        tables = _public_tables(history)
        rows = sum(_copy(built, session, each) for each in tables)
        figures.tell("PostgreSQL: rows of the tables asked", rows, "rows")
        session.execute("analyze")
        publish(settings, tables, "bench")
        published = Way("published", {each.name: f"published.{each.name}" for each in tables})
        ways = [published, *_others(session, tables)]
        with closing(snapshots.open_published(settings)) as reader:
            words = _words(reader)
        asked = _asked(session, ways, words, rounds)
    for name in QUESTIONS:
        figures.tell(f"PostgreSQL, {name}: as published", asked["published", name], "ms")
        for way in ("bare", "partitioned", "brin"):
            aim = Aim(at_least=2) if way == "bare" and name != WHOLE else None
            ratio = asked[way, name] / asked["indexed", name]
            figures.tell(f"PostgreSQL, {name}: {way} ÷ indexed (CPU)", ratio, aim=aim)


def _public_tables(history: Settings) -> list[PublicTable]:
    plan = publish_plan(load_catalog(history), {}, {})
    return [
        replace(each, fresh=True, build="1", reason="", since=None, masked=())
        for each in plan
        if each.name in (*BIG, *SMALL)
    ]


def _copy(built: duckdb.DuckDBPyConnection, session: PostgresConnection, table: PublicTable) -> int:
    """In the order in which they lie: a build leaves them in time order on both engines."""
    schema, _, name = table.relation.partition(".")
    columns = structure.columns(built)[schema, name]
    session.execute(f"create schema if not exists {schema}")
    kinds = ", ".join(f"{named(each)} {_kind(kind)}" for each, kind in columns.items())
    session.execute(f"create table {table.relation} ({kinds})")
    order = f" order by {table.partition_by}" if table.partition_by else ""
    return copy_rows(
        built, f"select * from {table.relation}{order}", session, table.relation, list(columns)
    )


def _kind(duckdb_type: str) -> str:
    return {"DOUBLE": "double precision", "HUGEINT": "numeric"}.get(duckdb_type, duckdb_type)


def _others(session: Connection, tables: Sequence[PublicTable]) -> list[Way]:
    """The same published rows, kept otherwise."""
    found = []
    for way in ("bare", "indexed", "partitioned", "brin"):
        session.execute(f"create schema {way}")
        places = {each.name: f"published.{each.name}" for each in tables}
        for table in tables:
            if table.name in BIG:
                places[table.name] = f"{way}.{table.name}"
                _keep(session, table, way, places[table.name])
        found.append(Way(way, places))
    return found


def _keep(session: Connection, table: PublicTable, way: str, place: str) -> None:
    day, rows = table.partition_by, f"published.{table.name}"
    if way != "partitioned":
        session.execute(f"create table {place} as select * from {rows} order by {day}")
    else:
        session.execute(f"create table {place} (like {rows}) partition by range ({day})")
        months = session.execute(
            f"select distinct date_trunc('month', {day})::date from {rows} order by 1"
        ).fetchall()
        for number, (month,) in enumerate(months):
            session.execute(
                f"create table {place}_{number} partition of {place} for values"
                f" from ('{month}') to ((date '{month}' + interval '1 month')::date)"
            )
        session.execute(f"insert into {place} select * from {rows} order by {day}")
    if way == "bare":
        # Statistics would come by themselves; a table that was just written has none.
        session.execute(f"alter table {place} set (autovacuum_enabled = off)")
        return
    by_day = f"using brin ({day}) with (pages_per_range = 16)" if way == "brin" else f"({day})"
    listed = [f"({', '.join(each)})" for each in (table.key, *table.indexes) if each]
    for each in (by_day, *listed):
        session.execute(f"create index on {place} {each}")
    session.execute(f"analyze {place}")


def _words(reader: Connection) -> dict[str, str]:
    """A day near the end, an account that does much, one session of the middle."""
    [[day]] = reader.execute("select max(started_on) - 10 from fct_sessions").fetchall()
    [[account]] = reader.execute(
        "select account_id from fct_sessions group by 1 order by count(*) desc, 1 limit 1 offset 20"
    ).fetchall()
    [[session]] = reader.execute(
        f"select session_id from fct_sessions where started_on = date '{day}' order by 1 limit 1"
    ).fetchall()
    return {"day": str(day), "account": str(account), "session": str(session)}


def _asked(
    session: PostgresConnection, ways: Sequence[Way], words: Mapping[str, str], rounds: int
) -> dict[tuple[str, str], float]:
    """Milliseconds, the median of some rounds; in each round every way takes its turn."""
    session.execute("set max_parallel_workers_per_gather = 0")
    spent: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for name, text in QUESTIONS.items():
            for way in ways:
                sql = text.format(**way.tables, **words)
                before = _nanoseconds(session)
                session.execute(sql).fetchall()
                if number:  # The first round warms what the others use.
                    took = (_nanoseconds(session) - before) / 1e6
                    spent.setdefault((way.name, name), []).append(took)
    return {key: median(each) for key, each in spent.items()}


def _nanoseconds(session: PostgresConnection) -> int:
    """Of CPU, as Linux counts it: the usual hundredths of a second are too coarse here."""
    path = Path(f"/proc/{session.raw.info.backend_pid}/schedstat")
    return int(path.read_text().split()[0])
