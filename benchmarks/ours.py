"""One part of our own work as a process of its own: the table below names them."""

from __future__ import annotations

import sys
from contextlib import closing
from importlib import import_module

from catalog.catalog import BUILT_LAYERS
from warehouse import dbt
from warehouse.settings import settings
from warehouse.workshop import connect


def imports() -> None:
    """What a load and a gate need before they have done anything."""
    for room in ("ingestion.load", "quality.evaluate"):
        import_module(room)
    dbt.ensure_manifest(settings())


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


def raw_gates() -> None:
    """Nothing is built before these are open."""
    _steps("raw")


def dagster() -> None:
    _steps(*BUILT_LAYERS)


def dagster_start() -> None:
    """What the steps need before the first of them: Dagster, its definitions, dbt, its manifest."""
    import_module("orchestration.running")
    import_module("orchestration.definitions")
    nothing()


def _steps(*layers: str) -> None:
    from orchestration.running import run

    outcome = run(
        [f"layer:{layer}" for layer in layers], report=lambda text: None, jobs=["build", "report"]
    )
    if not outcome.success:
        sys.exit("; ".join(outcome.problems))


def gates() -> None:
    """Every check of what was built, as the gates carry them out."""
    from catalog.catalog import load_catalog
    from quality.evaluate import evaluate

    catalog = load_catalog(settings())
    with closing(connect(settings())) as connection:
        for layer in BUILT_LAYERS:
            keys = [each.key for each in catalog.layer(layer)]
            evaluate(settings(), catalog, connection, keys)


def _must(outcome: dbt.Outcome) -> None:
    if not outcome.success:
        bad = [each for each in outcome.nodes if each.status in ("error", "fail")]
        sys.exit(outcome.error or "; ".join(f"{each.unique_id}: {each.message}" for each in bad))


PARTS = {
    "imports": imports,
    "load": load,
    "build": build,
    "seed": seed,
    "compile": compile_sql,
    "nothing": nothing,
    "gates": gates,
    "raw_gates": raw_gates,
    "dagster": dagster,
    "dagster_start": dagster_start,
}

if __name__ == "__main__":
    PARTS[sys.argv[1]]()
