"""The code location: everything Dagster knows, derived from the catalog."""

from __future__ import annotations

import dagster as dg

from catalog.catalog import load_catalog
from orchestration import branches, schedules
from orchestration.building import build_step, seeds_step
from orchestration.dbt_tests import data_tests
from orchestration.gating import gate_step
from orchestration.loading import load_step
from orchestration.measuring import metrics_step
from orchestration.publishing import publish_step
from orchestration.specs import landing_spec, published_key
from orchestration.writer import WRITER, writer
from warehouse.settings import settings

EVERYTHING = "everything"
PUBLISH = "publish_open_tables"
# Runs of these jobs queue behind each other (see dagster.yaml).
ONE_WRITER = {"sluice/writer": "warehouse"}


def build_definitions() -> dg.Definitions:
    catalog = load_catalog(settings())
    sources = branches.sources(catalog)
    built = branches.branches(catalog)
    tests = data_tests(catalog, built)
    checked = [*sources, *built]
    publishing = publish_step(catalog)
    everything = dg.define_asset_job(
        EVERYTHING,
        selection=dg.AssetSelection.all(),
        description="Load what has landed, build, check, publish.",
        tags=ONE_WRITER,
        executor_def=dg.in_process_executor,
    )
    publish_job = dg.define_asset_job(
        PUBLISH,
        selection=dg.AssetSelection.assets(*(published_key(each) for each in catalog.public())),
        description="Publish every table whose gates are open.",
        tags=ONE_WRITER,
        executor_def=dg.in_process_executor,
    )
    return dg.Definitions(
        assets=[
            *(landing_spec(each) for each in catalog.layer("raw")),
            *(load_step(catalog, each) for each in sources),
            seeds_step(catalog, catalog.layer("seeds")),
            *(
                build_step(
                    catalog,
                    branch,
                    [test for test in tests if test.dataset in branch.datasets],
                )
                for branch in built
            ),
            publishing,
            metrics_step(catalog),
        ],
        asset_checks=[gate_step(catalog, each) for each in checked],
        jobs=[everything, publish_job],
        schedules=[schedules.daily(everything)],
        sensors=[
            schedules.landed(everything),
            schedules.publish_the_rest(everything, publish_job),
        ],
        resources={WRITER: writer},
        executor=dg.in_process_executor,
    )


defs = build_definitions()
