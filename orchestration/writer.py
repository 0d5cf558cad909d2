"""One writer at a time: a run holds the workshop's lock from its first step to its last."""

from collections.abc import Iterator

import dagster as dg

from warehouse.settings import settings
from warehouse.workshop import writing

WRITER = "writer"
# A crash is worth another try; bad data is not (steps raise dg.Failure(allow_retries=False)).
RETRIES = dg.RetryPolicy(
    max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


@dg.resource(description="The right to write the warehouse: a second run waits for it.")
def writer(context: dg.InitResourceContext) -> Iterator[None]:
    log = context.log
    purpose = f"run {context.run_id[:8]}" if context.run_id else "a run"
    with writing(
        settings(), purpose, waiting=lambda text: log.info(text) if log is not None else None
    ):
        yield
