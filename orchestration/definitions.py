"""The code location: everything Dagster knows, derived from the catalog.

A run has three jobs, one after the other: `build` (fetch, load, build, check), `report` (the same
for the platform's own log, so that what just happened is known) and `publish_open_tables`. The
later two follow however the one before ended: a closed gate keeps nothing else back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as Job,
)

from catalog.catalog import Catalog, Dataset, load_catalog
from orchestration import branches, schedules
from orchestration.building import build_step, seeds_step
from orchestration.dbt_tests import data_tests
from orchestration.fetching import fetch_step, fetched_here, fetched_keys
from orchestration.gating import gate_step
from orchestration.jobs import BUILD, PUBLISH, REPORT
from orchestration.loading import load_step
from orchestration.measuring import metric_key, metric_names, metrics_step
from orchestration.publishing import publish_step
from orchestration.specs import asset_key, landing_key, landing_spec, published_key
from orchestration.watch import Watch
from orchestration.writer import WRITER, writer
from warehouse.secrets import guard_logs
from warehouse.settings import settings

# Code servers and run workers begin here.
guard_logs()
# A check that had not to be made again has no result in this run, and Dagster says so of each.
logging.getLogger("dagster._core.execution.plan.active").setLevel(logging.ERROR)

FETCH = "fetch"
# Runs of these jobs queue behind each other (see dagster.yaml).
ONE_WRITER = {"sluice/writer": "warehouse"}


def build_definitions() -> dg.Definitions:
    catalog = load_catalog(settings())
    sources = branches.sources(catalog)
    built = branches.branches(catalog)
    tests = data_tests(catalog, built)
    checked, watch = [*sources, *built], Watch(catalog)
    jobs = [_job(name, keys, why) for name, keys, why in jobs_in_order(catalog) if keys]
    fetched = set(fetched_keys())
    fetching = [_fetch_job(list(fetched))] if fetched else []
    return dg.Definitions(
        assets=[
            *(
                landing_spec(each)
                for each in catalog.layer("raw")
                if landing_key(each.source, each.name) not in fetched
            ),
            *(fetch_step(catalog, each) for each in fetched_here()),
            *(load_step(catalog, each, watch) for each in sources),
            seeds_step(catalog, catalog.layer("seeds"), watch),
            *(
                build_step(
                    catalog,
                    branch,
                    [test for test in tests if test.dataset in branch.datasets],
                    watch,
                )
                for branch in built
            ),
            publish_step(catalog),
            metrics_step(catalog),
        ],
        asset_checks=[gate_step(catalog, each, watch) for each in checked],
        jobs=[*jobs, *fetching],
        schedules=[schedules.daily(jobs[0]), *(schedules.fetching(each) for each in fetching)],
        sensors=[schedules.landed(jobs[0]), *schedules.one_after_the_other(jobs)],
        resources={WRITER: writer},
        executor=dg.in_process_executor,
    )


def jobs_in_order(catalog: Catalog) -> tuple[tuple[str, list[dg.AssetKey], str], ...]:
    """What each job of a run materializes."""
    datasets = catalog.datasets.values()
    metrics = [metric_key(name) for name in metric_names(catalog)]
    return (
        (
            BUILD,
            [*fetched_keys(), *_keys(each for each in datasets if not each.is_about_platform)],
            "Fetch and load what is new, build what it touches, check at every gate.",
        ),
        (
            REPORT,
            _keys(each for each in datasets if each.is_about_platform),
            "Load the platform's own log, build and check what is derived from it.",
        ),
        (
            PUBLISH,
            [*(published_key(each) for each in catalog.public()), *metrics],
            "Publish every table whose gates are open; ask every metric.",
        ),
    )


def _keys(datasets: Iterable[Dataset]) -> list[dg.AssetKey]:
    return [asset_key(each) for each in datasets]


def _job(name: str, keys: list[dg.AssetKey], description: str) -> Job:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        description=description,
        tags=ONE_WRITER,
        executor_def=dg.in_process_executor,
    )


def _fetch_job(keys: list[dg.AssetKey]) -> Job:
    """Landing alone: it waits for no writer, and what lands starts a run."""
    return dg.define_asset_job(
        FETCH,
        selection=dg.AssetSelection.assets(*keys),
        description="Ask every source what is new.",
        executor_def=dg.in_process_executor,
    )


defs = build_definitions()
