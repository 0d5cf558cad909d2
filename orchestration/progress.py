"""What a run tells the person who waits for it: one line per step, wherever it was started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
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


@dataclass
class Told:
    """Hands lines on, and knows what has been said; `holds` keeps them back until `let_go`."""

    reporter: Reporter
    lines: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    holds: bool = False

    def __call__(self, text: str) -> None:
        self.lines.append(text)
        # Who waits for another writer, or hears that something was healed, is told at once.
        if self.holds and not text.startswith(("…", "✓ healed")):
            self.held.append(text)
        else:
            self.reporter(text)

    def let_go(self, instead: str) -> None:
        """Tell what was held back if something of it is wrong, else one line in place of all."""
        is_wrong = not instead or any(each.startswith("✗") for each in self.held)
        for text in self.held if is_wrong else [instead]:
            self.reporter(text)
        self.held, self.holds = [], False

    def has_said(self, problem: str) -> bool:
        wanted = " ".join(problem.split())
        return any(each.startswith("✗") and wanted in " ".join(each.split()) for each in self.lines)


def say(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, text: str) -> None:
    context.log.info(text)
    tell(text)


def tell(text: str) -> None:
    """Only to whoever waits for the run."""
    reporter = _reporter.get()
    if reporter is not None:
        reporter(text)
