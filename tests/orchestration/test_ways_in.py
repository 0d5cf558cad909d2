"""A closed gate is closed, whoever comes and by which way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import planted
import pytest
from dagster_up import Dagster, until, up
from platform_under_test import NO_PROMPT, Sluice

from orchestration.run_log import BY_HAND_TOOL, MODELS, TRIGGER
from warehouse import platform_log
from warehouse.settings import PROJECT_ROOT

MART = "finance_revenue_monthly"
# Of another source: shows that the way in is open where the gates are.
OPEN_MART = "product_retention_weekly"


@pytest.fixture(scope="module")
def shut(module_demo: Sluice) -> Sluice:
    """The demo, after amounts that close the gate of the payments."""
    module_demo("simulate", "--defect", "implausible-amounts")
    module_demo("run", "--select", "source:billing", code=4)
    return module_demo


def built(sluice: Sluice, mart: str) -> tuple[int, Any]:
    """How often the mart was built, and what the workshop holds of it."""
    events = platform_log.read_newest_first(sluice.settings, MODELS)
    count = sum(each["dataset"] == f"marts.{mart}" for each in events)
    with duckdb.connect(str(sluice.settings.workshop_path), read_only=True) as workshop:
        content = workshop.execute(f"select count(*), sum(hash(m)) from marts.{mart} as m")
        return count, content.fetchall()


def published(sluice: Sluice) -> Any:
    told: Any = sluice.json("query", f"select sum(collected_usd_amount) as total from {MART}")
    return told[0]["total"]


@pytest.fixture
def untouched(shut: Sluice) -> Iterator[Sluice]:
    """Whatever the test does, the mart below the closed gate stays as it was."""
    before, seen = built(shut, MART), published(shut)
    yield shut
    assert built(shut, MART) == before
    assert published(shut) == seen


def test_a_selection_at_the_command_line(untouched: Sluice) -> None:
    done = untouched("run", "--select", MART, code=4)
    assert "withheld" in done.stdout and "raw.billing.payments is closed" in done.stdout


def test_a_whole_run(untouched: Sluice) -> None:
    other = built(untouched, OPEN_MART)
    untouched("run", code=4)
    # Nothing of it is due: what is closed is tried again, and no more.
    assert built(untouched, OPEN_MART) == other


TICK = """
import dagster as dg
from orchestration.definitions import defs
from orchestration.running import prepare_dagster_home
from warehouse.settings import settings
prepare_dagster_home(settings())
with dg.DagsterInstance.get() as instance:
    context = dg.build_schedule_context(
        instance, scheduled_execution_time=__import__("datetime").datetime(2026, 4, 1, 4))
    schedule = defs.resolve_schedule_def("daily")
    for request in schedule.evaluate_tick(context).run_requests:
        job = defs.resolve_job_def(schedule.job_name)
        # The daemon names no assets, as this does: it does what is due.
        tags = {**request.tags, "dagster/schedule_name": "daily", "sluice/scope": "due"}
        result = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        print(schedule.job_name, result.success)
"""


def test_the_schedule(untouched: Sluice) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_PROMPT + TICK], cwd=PROJECT_ROOT, env=dict(untouched.environment),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == ["build", "False"], done.stderr[-2000:]


def test_dbt_by_hand_builds_what_is_open_and_leaves_it_unpublished_until_it_is_checked(
    untouched: Sluice,
) -> None:
    refused = dbt(untouched, "build", "--select", f"{MART} {OPEN_MART}")
    assert refused.returncode != 0
    assert "raw.billing.payments is closed" in refused.stdout and MART in refused.stdout
    assert "Nothing was built" in refused.stdout

    done = dbt(untouched, "run", "--select", OPEN_MART)
    assert done.returncode == 0, done.stdout
    gates: Any = untouched.json("gate", "list", "--closed")
    states = {each["dataset"]: each["state"] for each in gates}
    assert states[f"marts.{OPEN_MART}"] == "pending"
    untouched("run", "--select", OPEN_MART)
    gates = untouched.json("gate", "list", "--closed")
    assert f"marts.{OPEN_MART}" not in {each["dataset"] for each in gates}


def test_dbt_by_hand_is_left_alone_in_a_database_of_its_own(
    untouched: Sluice, tmp_path: Path
) -> None:
    own = tmp_path / "own.duckdb"
    done = dbt(untouched, "run", "--select", "dim_plans", "metrics_time_spine", workshop=own)
    assert "Below a closed gate" not in done.stdout


def dbt(
    sluice: Sluice, *words: str, workshop: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("dbt"), "--no-use-colors", *words,
         "--profiles-dir", ".", "--target-path", str(sluice.folder / "dbt")],
        cwd=PROJECT_ROOT / "dbt_project", capture_output=True, text=True,
        env={**sluice.environment,
             "SLUICE_WORKSHOP": str(workshop or sluice.settings.workshop_path)},
    )  # fmt: skip


SECRETS = {
    # PostgreSQL's driver says why it cannot be read, and repeats all of it.
    "APP_DATABASE_URL": f"postgresql://ada:{quote(planted.PASSWORD, safe='')}@[127.0.0.1:9/shop",
    "SLUICE_MASK_KEY": "a-key-that-only-tests-use",
    **planted.HOOKS,
}
LAUNCH = """mutation ($parameters: ExecutionParams!) { launchRun(executionParams: $parameters) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
BACKFILL = """mutation ($parameters: LaunchBackfillParams!) {
    launchPartitionBackfill(backfillParams: $parameters) { __typename
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""


def test_a_hand_a_backfill_and_the_sensor_in_dagsters_pages(untouched: Sluice) -> None:
    """All at once: one writes, the others wait for it. Secrets are at hand, and none is shown."""
    # New files, of the closed source and of others: the sensor starts a build.
    untouched("simulate", "--next-day")
    (untouched.settings.data_dir / "notifications.yml").write_text(planted.ROUTES)
    with up(replace(untouched, environment={**untouched.environment, **SECRETS})) as dagster:
        refused = untouched("up", code=3).stderr
        home = untouched.settings.dagster_home
        assert f"Dagster runs already on {home}: {dagster.address}" in refused
        asked = dagster.ask(
            BACKFILL,
            parameters={
                "partitionsByAssets": [{"assetKey": {"path": ["marts", MART]}, "partitions": None}],
                "title": "again",
            },
        )["launchPartitionBackfill"]
        assert asked["__typename"] == "LaunchBackfillSuccess", asked
        by_hand = launch(dagster, ["marts", MART])
        backfilled = until(
            lambda: tagged(dagster, "dagster/backfill", asked["backfillId"]), "the backfill runs"
        )
        sensed = until(
            lambda: tagged(dagster, "dagster/sensor_name", "new_landing_files"), "the sensor runs"
        )
        for run_id in (by_hand, backfilled, sensed):
            assert dagster.ended(run_id)["status"] == "FAILURE"
        # However a build ended, a publish follows it.
        after = until(lambda: named(dagster, "publish_open_tables"), "a publish follows")
        assert dagster.ended(after)["status"] == "SUCCESS"
        shown = dagster.shown(by_hand, backfilled, sensed, after)
        runs, plans = dagster.runs(), dagster.asset("curated", "dim_plans")
        # A metric is as new as the tables that it reads, whatever became of others.
        for metric, is_asked in (("pipeline_success_rate", True), ("collected_revenue", False)):
            told = dagster.asset("metrics", metric)["assetMaterializations"]
            assert (after in {each["runId"] for each in told}) == is_asked, metric
    # The sensor's run found that plans were not due: they are shown as they were built and judged.
    [built] = [each["runId"] for each in plans["assetMaterializations"]]
    assert sensed in {each["runId"] for each in plans["assetObservations"]}
    verdicts = [
        each["executionForLatestMaterialization"] for each in plans["assetChecksOrError"]["checks"]
    ]
    assert len(verdicts) > 3 and {each["status"] for each in verdicts} == {"SUCCEEDED"}
    assert {each["runId"] for each in verdicts} == {built} == {plans["latestRun"]}
    # On the first page stand those of `sluice run`, too.
    by_hand_tool = [
        each for each in runs if {"key": TRIGGER, "value": BY_HAND_TOOL} in each["tags"]
    ]
    assert len(by_hand_tool) > 3
    for run in by_hand_tool:
        assert run["repositoryOrigin"]["repositoryLocationName"] == "orchestration.definitions"
    # It was at hand: the source was asked, and people were told.
    assert (
        "`url` of the connector of app cannot be read" in shown and "chat was not told of" in shown
    )
    known = [planted.PASSWORD, planted.TOKEN, planted.TOKEN[::-1], SECRETS["SLUICE_MASK_KEY"]]
    written = [untouched.folder / "dagster", untouched.settings.data_dir / "logs"]
    said = shown + (untouched.folder / "up.log").read_text()
    assert planted.found(known, written, said) == []
    with pytest.raises(OSError):
        dagster.runs()


def launch(dagster: Dagster, path: list[str]) -> str:
    selector = {**dagster.repository(), "pipelineName": "__ASSET_JOB"}
    asked = dagster.ask(
        LAUNCH,
        parameters={
            "selector": {**selector, "assetSelection": [{"path": path}], "assetCheckSelection": []},
            "mode": "default",
            "runConfigData": {},
        },
    )["launchRun"]
    assert asked["__typename"] == "LaunchRunSuccess", asked
    run_id: str = asked["run"]["runId"]
    return run_id


def tagged(dagster: Dagster, key: str, value: str) -> str | None:
    wanted = {"key": key, "value": value}
    return next((each["runId"] for each in dagster.runs() if wanted in each["tags"]), None)


def named(dagster: Dagster, job: str) -> str | None:
    """A run of this job that the daemon started, not `sluice run`."""
    return next(
        (
            each["runId"]
            for each in dagster.runs()
            if each["jobName"] == job
            and any(tag["key"] == "dagster/sensor_name" for tag in each["tags"])
        ),
        None,
    )
