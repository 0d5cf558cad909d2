"""One writer at a time: a run holds the workshop's lock from its first step to its last."""

from collections.abc import Iterator

import dagster as dg

from catalog.catalog import load_catalog
from orchestration.deploys import note_deploy
from orchestration.guarding import guarded
from orchestration.progress import tell
from orchestration.run_log import logged
from warehouse.settings import settings
from warehouse.workshop import writing

WRITER = "writer"
# A crash is worth another try; bad data is not (steps raise dg.Failure(allow_retries=False)).
RETRIES = dg.RetryPolicy(
    max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


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
