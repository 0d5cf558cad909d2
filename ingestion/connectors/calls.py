"""What a client sends, as rows of the contract: our own events, or Segment's calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from ingestion.connectors.words import CollectorEntity, CollectorSource

CALLS: Final = ("track", "page", "screen", "identify", "group", "batch")
# Where a call holds what the contract wants; the first that is there counts.
_PLACES: Final[Mapping[str, str]] = {
    "event_id": "messageId",
    "user_id": "userId|anonymousId",
    "account_id": "context.groupId|groupId|properties.account_id|traits.account_id",
    "occurred_at": "timestamp|originalTimestamp|sentAt",
    "sent_at": "sentAt",
    "context": "context",
    "properties": "properties|traits",
}
Row = dict[str, Any]
Reader = Callable[[Mapping[str, Any]], Any]


class BadRequestError(Exception):
    """The request is no list of events; nothing of it is taken."""


class Calls:
    """How the calls of one collector become rows."""

    def __init__(self, declared: CollectorSource, entity: CollectorEntity) -> None:
        self._names: Mapping[str, str] = {str(k): v for k, v in declared.names.items()}
        places = {**_PLACES, **entity.columns}
        self._readers: dict[str, Reader] = {
            column: _reader(place) for column, place in places.items()
        }

    def rows(self, call: str, body: bytes) -> Iterator[Row | Any]:
        """One row for each event; what is no object comes as it is."""
        if call == "events":
            yield from _documents(body)
            return
        document = _parsed(body)
        if not isinstance(document, dict):
            raise BadRequestError("a call is a JSON object")
        events = document.get("batch") if call == "batch" else [document]
        if not isinstance(events, list):
            raise BadRequestError("`batch` is a list of calls")
        shared = {
            name: document[name] for name in ("sentAt", "context") if name in document
        } if call == "batch" else {}  # fmt: skip
        for event in events:
            yield self._row(call, {**shared, **event}) if isinstance(event, dict) else event

    def _row(self, call: str, event: Mapping[str, Any]) -> Row:
        kind = event.get("type") if call == "batch" else call
        name = event.get("event") if kind == "track" else self._names.get(str(kind), f"({kind})")
        row: Row = {"event_name": name}
        for column, read in self._readers.items():
            value = read(event)
            if value is not None:
                row[column] = value
        return row


def _documents(body: bytes) -> list[Any]:
    """A JSON array, {"events": […]}, one object, or one object a line."""
    try:
        document = _parsed(body)
    except BadRequestError:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [_parsed(line) for line in lines]
    if isinstance(document, dict):
        events = document.get("events")
        return events if isinstance(events, list) else [document]
    if not isinstance(document, list):
        raise BadRequestError("the body is no list of events")
    return document


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is no JSON: {error}") from error


def _reader(places: str) -> Reader:
    paths = [place.strip().split(".") for place in places.split("|")]

    def read(event: Mapping[str, Any]) -> Any:
        for path in paths:
            value: Any = event
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None:
                return value
        return None

    return read
