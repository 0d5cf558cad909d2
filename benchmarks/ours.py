"""One part of our own work as a process: load, seed, compile, build, dagster, nothing."""

from __future__ import annotations

import sys
from contextlib import closing

from catalog.catalog import BUILT_LAYERS
from warehouse import dbt
from warehouse.settings import settings
from warehouse.workshop import connect

EXCLUDED = ["--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"]


def load() -> None:
    from ingestion.load import load_all

    with closing(connect(settings())) as connection:
        load_all(settings(), connection)


def build() -> None:
    _must(dbt.run(settings(), ["run"]))


def seed() -> None:
    _must(dbt.run(settings(), ["seed"]))


def compile_sql() -> None:
    _must(dbt.run(settings(), ["compile"]))


def nothing() -> None:
    """What dbt costs before it has built anything."""
    _must(dbt.run(settings(), ["ls", "--select", "metrics_time_spine"]))


def forget() -> None:
    """Leave raw and seeds, drop what was built from them."""
    with closing(connect(settings())) as connection:
        for schema in (*BUILT_LAYERS, "platform"):
            connection.execute(f"drop schema if exists {schema} cascade")


def dagster() -> None:
    from orchestration.running import run

    selection = [f"layer:{layer}" for layer in BUILT_LAYERS]
    outcome = run(selection, report=lambda text: None)
    if not outcome.success:
        sys.exit("; ".join(outcome.problems))


def _must(outcome: dbt.Outcome) -> None:
    if not outcome.success:
        bad = [each for each in outcome.nodes if each.status in ("error", "fail")]
        sys.exit(outcome.error or "; ".join(f"{each.unique_id}: {each.message}" for each in bad))


PARTS = {
    "load": load,
    "build": build,
    "seed": seed,
    "compile": compile_sql,
    "nothing": nothing,
    "forget": forget,
    "dagster": dagster,
}

if __name__ == "__main__":
    PARTS[sys.argv[1]]()
