"""When things run by themselves: every morning, when files arrive, and after a closed gate."""

from contextlib import closing

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as Job,
)

from ingestion.load import newest_landed, pending
from warehouse.errors import LockedError
from warehouse.platform_log import PLATFORM
from warehouse.settings import settings
from warehouse.workshop import connect

RUN_LABEL = "sluice/run"


def daily(everything: Job) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="daily",
        job=everything,
        cron_schedule="0 4 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Everything due, every day at 04:00 UTC.",
    )


def landed(everything: Job) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_landing_files",
        job=everything,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts a run when a source has landed a file that was not there before.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        newest = newest_landed(settings())
        cursor = ";".join(f"{source}={path}" for source, path in sorted(newest.items()))
        if not newest:
            return dg.SkipReason(f"Nothing has landed below {settings().landing_url} yet.")
        if cursor == context.cursor:
            return dg.SkipReason("No file has landed since the last look.")
        if context.cursor is None and not waiting():
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
    if not settings().workshop_path.exists():
        return True
    try:
        with closing(connect(settings(), read_only=True)) as connection:
            found = pending(settings(), connection)
            # What the platform says of itself is loaded when something else has happened.
            return any(files for source, files in found.items() if source != PLATFORM)
    except LockedError:
        return True


def publish_the_rest(everything: Job, publishing: Job) -> dg.SensorDefinition:
    """A closed gate fails its run before the publish: what is open is published all the same."""

    @dg.run_failure_sensor(
        name="publish_after_a_closed_gate",
        monitored_jobs=[everything],
        request_job=publishing,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
    )
    def publish_open(context: dg.RunFailureSensorContext) -> dg.RunRequest:
        return dg.RunRequest(
            run_key=context.dagster_run.run_id, tags={RUN_LABEL: "after a closed gate"}
        )

    return publish_open
