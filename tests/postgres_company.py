"""The demo's published tables put into a PostgreSQL workshop, as if they had been built there."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
from postgres_server import PostgresServer

from warehouse import postgres
from warehouse.connection import named
from warehouse.publish import PublicTable
from warehouse.settings import Settings

TYPES = {
    "VARCHAR": "text",
    "HUGEINT": "numeric(38, 0)",
    "DOUBLE": "double precision",
    "UBIGINT": "numeric(20, 0)",
    "JSON": "json",
}


def settings_on(server: PostgresServer, folder: Path, **more: object) -> Settings:
    given = {"keep_snapshots": 5, "keep_days": 7, **more}
    return Settings(
        data_dir=folder / "data",
        dagster_home=folder / "dagster",
        target="postgres",
        postgres=server.dsn,  # type: ignore[arg-type]
        **given,  # type: ignore[arg-type]
    )


def take_over(demo: Settings, here: Settings) -> None:
    """The parsed project, the landed log and the clock of a company that exists."""
    shutil.copytree(demo.dbt_target_path, here.dbt_target_path)
    shutil.copytree(demo.data_dir / "landing" / "platform", here.data_dir / "landing" / "platform")
    for clock in (demo.data_dir / "landing").glob("*.json"):
        shutil.copy(clock, here.data_dir / "landing")


def copy_tables(
    source: duckdb.DuckDBPyConnection, here: Settings, tables: list[PublicTable], folder: Path
) -> None:
    target = postgres.connect(here)
    for table in tables:
        columns = source.execute(
            "select column_name, data_type from duckdb_columns()"
            " where schema_name = 'published' and table_name = ? order by column_index",
            [table.name],
        ).fetchall()
        schema, _, name = table.relation.partition(".")
        place = f"{named(schema)}.{named(name)}"
        listed = ", ".join(f"{named(each)} {TYPES.get(kind, kind)}" for each, kind in columns)
        target.execute(f"create schema if not exists {named(schema)}")
        target.execute(f"create table {place} ({listed})")
        file = folder / f"{name}.csv"
        source.execute(f"copy published.{named(name)} to '{file}' (format csv, header false)")
        with (
            file.open("rb") as rows,
            target.raw.cursor().copy(f"copy {place} from stdin (format csv)".encode()) as copy,
        ):
            while block := rows.read(1 << 20):
                copy.write(block)
        file.unlink()
    target.close()
