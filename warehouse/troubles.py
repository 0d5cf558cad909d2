"""What PostgreSQL's refusals mean, in plain words, and what to do."""

from __future__ import annotations

from typing import Final

from warehouse.connection import EngineError
from warehouse.errors import SluiceError

_AGAIN: Final = "Run again: what was committed stays, nothing half-done does."
# By SQLSTATE, the longest beginning that fits.
_MEANT: Final = {
    "53100": (
        "The disk of the PostgreSQL server is full; nothing half-done stays",
        "Free space on the server, then run again.",
    ),
    "53": (
        "The PostgreSQL server has run out of something",
        "Give it more, or let less run beside; then run again.",
    ),
    "42501": (
        "PostgreSQL does not permit it",
        "Give the platform's role the right (it must own what it writes, and may create schemas "
        "in its database), or name another role in SLUICE_POSTGRES.",
    ),
    "25006": (
        "The PostgreSQL server takes no writes",
        "Point SLUICE_POSTGRES to the primary server, not to a copy that follows it.",
    ),
    "08": ("The connection to PostgreSQL was lost", _AGAIN),
    "57P": ("The PostgreSQL server ended our connection", _AGAIN),
    "": ("PostgreSQL refused a statement", "Look at the server's log; then run again."),
}


def explained(error: EngineError) -> SluiceError:
    """The error of an engine as an error for people."""
    import psycopg

    cause = error.__cause__
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    if state is None and isinstance(cause, psycopg.OperationalError):
        # Nobody was there to name a state.
        state = "08"
    meant = max((each for each in _MEANT if (state or "").startswith(each)), key=len)
    what, remedy = _MEANT[meant]
    return SluiceError(f"{what}: {error}.", remedy=remedy)
