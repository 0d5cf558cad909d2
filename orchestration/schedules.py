"""When things run by themselves: every morning, when files arrive, and one job after the other."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as Job,
)

from ingestion.connectors.fetching import asked
from ingestion.load import newest_landed, pending
from orchestration.guarding import guarded
from orchestration.run_log import BY_HAND_TOOL, RUN_LABEL, TRIGGER
from warehouse.errors import LockedError
from warehouse.platform_log import PLATFORM
from warehouse.settings import settings
from warehouse.workshop import connect, is_begun, is_writing


def daily(build: Job) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="daily",
        job=build,
        cron_schedule="0 4 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Everything due, every day at 04:00 UTC.",
    )


def fetching(fetch: Job) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="fetch",
        job=fetch,
        cron_schedule="*/15 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Ask every source what is new, every fifteen minutes.",
    )


def landed(build: Job) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_landing_files",
        job=build,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts a run when a source has landed a file that was not there before.",
    )
    @guarded()
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        newest = newest_landed(settings())
        cursor = ";".join(f"{source}={path}" for source, path in sorted(newest.items()))
        if not newest:
            return dg.SkipReason(f"Nothing has landed below {settings().landing_url} yet.")
        if cursor == context.cursor:
            return dg.SkipReason("No file has landed since the last look.")
        if asked(settings()) and is_writing(settings()):
            # It may have fetched just these files, and be loading them: the next look decides.
            return dg.SkipReason("A run is writing the warehouse.")
        if not waiting():
            return dg.SensorResult(
                skip_reason="All that has landed is loaded already.", cursor=cursor
            )
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=cursor, tags={RUN_LABEL: "landed"})],
            cursor=cursor,
        )

    return look


def waiting() -> bool:
    """Does anything wait to be loaded? A workshop that is in use counts as yes: its run queues."""
    if not is_begun(settings()):
        return True
    try:
        with closing(connect(settings(), read_only=True)) as connection:
            found = pending(settings(), connection)
            # What the platform says of itself is loaded when something else has happened.
            return any(files for source, files in found.items() if source != PLATFORM)
    except LockedError:
        return True


def one_after_the_other(jobs: Sequence[Job]) -> Iterator[dg.SensorDefinition]:
    """Each job follows the one before, however that one ended."""
    for first, then in pairwise(jobs):
        for status, name in (
            (dg.DagsterRunStatus.SUCCESS, f"{then.name}_after_{first.name}"),
            (dg.DagsterRunStatus.FAILURE, f"{then.name}_after_failed_{first.name}"),
        ):
            yield _following(first, then, status, name)


def _following(
    first: Job, then: Job, status: dg.DagsterRunStatus, name: str
) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=status,
        name=name,
        monitored_jobs=[first],
        request_job=then,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=15,
        description=f"Starts `{then.name}` when `{first.name}` has ended.",
    )
    def follow(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        run = context.dagster_run
        if run.tags.get(TRIGGER) == BY_HAND_TOOL:
            return dg.SkipReason("`sluice run` goes through all its jobs itself.")
        return dg.RunRequest(run_key=run.run_id, tags={RUN_LABEL: f"after {first.name}"})

    return follow
