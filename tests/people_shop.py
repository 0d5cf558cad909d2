"""A shop that knows people: a table of them and one of their visits, with a planted address."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from warehouse import snapshots, workshop
from warehouse.publish import PublicTable
from warehouse.settings import Settings
from warehouse.snapshots import PublicColumn

PLANTED = "planted.address@example.com"
KEY = "a-key-that-only-tests-use"
PEOPLE = PublicTable(
    "people", "marts.people", True, build="run-1",
    columns=(PublicColumn("email", "Where to write."),),
)  # fmt: skip
VISITS = PublicTable("visits", "marts.visits", True, build="run-1", partition_by="day_on")
MASKED = (
    replace(PEOPLE, masked=("email", "born_on")),
    replace(VISITS, masked=("visitor",)),
)


def settings_in(folder: Path, **more: Any) -> Settings:
    return Settings(
        data_dir=folder / "data", as_of="2026-04-01T00:00:00+00:00", mask_key=KEY, **more
    )


def build(here: Settings) -> None:
    with workshop.connect(here) as connection:
        connection.execute(
            f"""
            create schema marts; create schema platform;
            create table platform.touches (model varchar, build_id bigint, partition_on date);
            create table marts.people as
                select i as person_id, case i when 7 then '{PLANTED}' when 8 then null
                else 'person.' || i || '@example.com' end as email,
                date '1970-01-01' + i::int as born_on, 'user ' || i as note from range(300) r(i);
            create table marts.visits as select i as visit_id, email as visitor,
                date '2026-03-01' + (i % 10)::int as day_on
                from range(3000) r(i) join marts.people on person_id = i % 300 order by day_on;
            insert into platform.touches select distinct 'visits', 1, day_on from marts.visits;
            """
        )


def rows(here: Settings, sql: str, snapshot_id: str | None = None, *, clear: bool = False) -> Any:
    connection: duckdb.DuckDBPyConnection = snapshots.open_published(here, snapshot_id, clear=clear)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def holding(here: Settings, text: str = PLANTED) -> set[str]:
    """Files of what is published, in whose bytes the text stands."""
    return {
        str(path.relative_to(here.published_dir))
        for path in here.published_dir.rglob("*.duckdb*")
        if not path.is_symlink() and text.encode() in path.read_bytes()
    }
