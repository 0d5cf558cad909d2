"""A step that crashes is tried again, and says so; what no second try can mend is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import TypeVar

import dagster as dg

from orchestration.guarding import guarded
from orchestration.progress import say
from orchestration.writer import RETRIES
from warehouse import platform_log
from warehouse.errors import ContractError, ProjectError, SettingsError
from warehouse.settings import settings
from warehouse.words import counted

Context = TypeVar("Context", dg.AssetExecutionContext, dg.AssetCheckExecutionContext)
Event = TypeVar("Event")
Step = Callable[[Context], Iterator[Event]]


def told(name: str) -> Callable[[Step[Context, Event]], Step[Context, Event]]:
    """Stands below the decorator that makes an asset of the step."""

    def decorated(step: Step[Context, Event]) -> Step[Context, Event]:
        @wraps(step)
        def tried(context: Context) -> Iterator[Event]:
            before = context.op_execution_context.retry_number
            try:
                with guarded():
                    yield from step(context)
            except dg.Failure:
                raise
            except Exception as error:
                _tell(context, name, error, before)
                if _is_lasting(error):
                    raise dg.Failure(str(error), allow_retries=False) from error
                raise
            if before:
                _log_retried(name, before)
                say(context, f"✓ healed {name}: attempt {before + 1} went through")

        return tried

    return decorated


def _is_lasting(error: Exception) -> bool:
    """What only a change of a file mends; a locked workshop or a failing disk may pass."""
    return isinstance(error, ContractError | ProjectError | SettingsError)


def _tell(context: Context, name: str, error: Exception, before: int) -> None:
    text = str(error).strip() or type(error).__name__
    again = not _is_lasting(error) and before < RETRIES.max_retries
    following = f"; trying again ({before + 1} of {RETRIES.max_retries})" if again else ""
    say(context, f"✗ {name}: {' '.join(text.split())}{following}")


def _log_retried(name: str, before: int) -> None:
    event = {
        "what": "retried",
        "because": f"{name} crashed {counted(before, 'time')} before",
        "row_count": 0,
    }
    platform_log.append(settings(), "heals", [event])
