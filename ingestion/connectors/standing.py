"""How far each connector has read, for `sluice status`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from ingestion.connectors.declaration import Connector, read_connectors
from ingestion.connectors.delivery import Stream
from ingestion.connectors.outcome import LOG_KIND, Standing
from warehouse.errors import ContractError
from warehouse.platform_log import logged_at, read_newest_first
from warehouse.settings import Settings

# So many events back is looked for the last word of each source.
_EVENTS: Final = 500


def standings(settings: Settings) -> list[Standing]:
    try:
        connectors = read_connectors(settings)
    except ContractError as error:
        # Whoever asks how things are is told that, and everything else.
        return [Standing("", "", "cannot be read", problem=error.what)]
    last = _last_events(settings, connectors) if connectors else {}
    return [_standing(settings, each, last.get(name)) for name, each in connectors.items()]


def _standing(settings: Settings, connector: Connector, last: Mapping[str, Any] | None) -> Standing:
    missing = connector.missing
    cursors = {}
    if not missing:
        for name in streams_of(connector):
            stream = Stream(settings, connector.source, name)
            if stream.committed_at is not None:
                cursors[name] = _in_words(connector.kind, stream.cursor)
    return Standing(
        source=connector.source,
        kind=connector.kind,
        state=f"sleeps: {', '.join(missing)} not set" if missing else "awake",
        cursors=cursors,
        lag=_lag(last),
        last_at=logged_at(last) if last else None,
        problem=str(last["reason"]) if last and last["outcome"] in ("failed", "problem") else None,
    )


def streams_of(connector: Connector) -> tuple[str, ...]:
    """Change capture reads all its tables in one go; others each list for itself."""
    if connector.kind == "postgres":
        return ("changes",)
    return () if connector.kind == "collector" else tuple(connector.entities)


def _lag(last: Mapping[str, Any] | None) -> str | None:
    held = (last or {}).get("lag_bytes")
    return f"{held / 1024**2:,.1f} MB of its log" if held is not None else None


def _in_words(kind: str, cursor: Mapping[str, Any]) -> str:
    if kind == "files":
        return f"{len(cursor.get('taken', {})):,} files taken"
    if kind == "postgres":
        return f"until {cursor.get('lsn', 'the snapshot')}"
    return f"until {cursor['highest']}" if cursor.get("highest") is not None else "read whole"


def _last_events(
    settings: Settings, connectors: Mapping[str, Connector]
) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for event in islice(read_newest_first(settings, LOG_KIND), _EVENTS):
        before = found.setdefault(event["source"], event)
        # One fetch's events are one file: a problem among them is its last word.
        if event["outcome"] == "problem" and event["logged_at"] == before["logged_at"]:
            found[event["source"]] = event
        if len(found) == len(connectors) and event["logged_at"] != before["logged_at"]:
            break
    return found
