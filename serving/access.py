"""Who reads what is personal in clear, and why: in the platform's log before anything is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warehouse import platform_log
from warehouse.errors import PublishError, SettingsError
from warehouse.settings import Settings
from warehouse.snapshots import current_id

KIND = "access"


@dataclass(frozen=True)
class Reader:
    """A person who reads personal columns in clear, and the reason that they give."""

    name: str
    because: str


def reader_of(name: str, because: str | None) -> Reader:
    if because is None or not because.strip():
        raise SettingsError(
            "What is personal is not read in clear without a reason.",
            remedy='Say why: `--because "the customer asked what we know of them"`.',
        )
    return Reader(name, because.strip())


def log_access(
    settings: Settings, reader: Reader, tables: Sequence[str], snapshot_id: str | None
) -> str | None:
    """Log it, and say of which snapshot: the one that is read is the one that the log names."""
    wanted = snapshot_id or current_id(settings)
    _append(settings, reader, tables, {"snapshot_id": wanted})
    return wanted


def log_quarantine_access(settings: Settings, reader: Reader, datasets: Sequence[str]) -> None:
    """As `log_access`, of rows that were never published."""
    _append(settings, reader, datasets, {})


def _append(
    settings: Settings, reader: Reader, tables: Sequence[str], more: Mapping[str, str | None]
) -> None:
    event = {
        "event": "privileged_read",
        "by": reader.name,
        "because": reader.because,
        **more,
        "tables": list(tables),
    }
    try:
        platform_log.append(settings, KIND, [event])
    except OSError as error:
        raise PublishError(
            f"Nothing was read: that {reader.name} reads it could not be logged ({error}).",
            remedy="Let this process write to the landing zone's folder platform/access.",
        ) from error
