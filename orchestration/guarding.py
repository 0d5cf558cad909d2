"""Errors on their way to Dagster, which stores and shows them with everything that caused them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from warehouse.errors import SluiceError
from warehouse.secrets import redacted


@contextmanager
def guarded() -> Iterator[None]:
    """An error that says a secret, or was caused by one that does, goes on without it."""
    try:
        yield
    except Exception as error:
        words = "".join(traceback.format_exception(error))
        if redacted(words) == words:
            raise
        raise _without_secrets(error) from None


def _without_secrets(error: Exception) -> Exception:
    if isinstance(error, SluiceError):
        return type(error)(redacted(error.what), remedy=redacted(error.remedy))
    if isinstance(error, dg.Failure):
        return dg.Failure(redacted(error.description or ""), allow_retries=error.allow_retries)
    return RuntimeError(redacted(f"{type(error).__name__}: {error}"))
