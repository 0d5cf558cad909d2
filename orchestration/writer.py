"""One writer at a time: a run holds the workshop's lock from its first step to its last."""

from collections.abc import Iterator

import dagster as dg

from catalog.catalog import load_catalog
from orchestration.deploys import note_deploy
from orchestration.guarding import guarded
from orchestration.jobs import BUILD
from orchestration.progress import tell
from orchestration.run_log import logged
from orchestration.scope import scope_of
from orchestration.watch import Watch
from warehouse.errors import SluiceError
from warehouse.settings import settings
from warehouse.workshop import writing

WRITER = "writer"
# A crash is worth another try; bad data is not (steps raise dg.Failure(allow_retries=False)).
# What it met has a moment to pass: with Dagster's jitter the second try could follow at once.
RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)


@dg.resource(description="The right to write the warehouse: a second run waits for it.")
def writer(context: dg.InitResourceContext) -> Iterator[None]:
    log, run_id, instance = context.log, context.run_id, context.instance
    if run_id is None or instance is None:
        raise AssertionError("the writer's lock is taken by runs only")

    def waiting(text: str) -> None:
        if log is not None:
            log.info(text)
        tell(f"… {text}")

    with (
        guarded(),
        writing(settings(), f"run {run_id[:8]}", waiting=waiting),
        logged(settings(), instance, run_id),
    ):
        note_deploy(settings(), load_catalog(settings()))
        yield
        _confirm(instance, run_id)


def _confirm(instance: dg.DagsterInstance, run_id: str) -> None:
    """After a build of what was due: what was not still holds."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.job_name != BUILD or scope_of(run) != "due":
        return
    try:
        Watch(load_catalog(settings())).confirm(run_id)
    except SluiceError as error:
        # What was built is built: that nobody could look once more is no fault of it.
        tell(f"… what was not due is not confirmed: {error.what}")
