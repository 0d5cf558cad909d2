"""What a run tells the person who waits for it: one line per step, wherever it was started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

Reporter = Callable[[str], None]

_reporter: ContextVar[Reporter | None] = ContextVar("reporter", default=None)


@contextmanager
def reporting(reporter: Reporter) -> Iterator[None]:
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


def say(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, text: str) -> None:
    context.log.info(text)
    tell(text)


def tell(text: str) -> None:
    """Only to whoever waits for the run."""
    reporter = _reporter.get()
    if reporter is not None:
        reporter(text)
