"""HTTP APIs: what changed since the last time, each row as the API wrote it."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Final, cast

from ingestion.connectors.conversion import copy
from ingestion.connectors.declaration import Connector
from ingestion.connectors.delivery import Stream
from ingestion.connectors.outcome import Fetched, Report
from ingestion.connectors.pages import Pages
from ingestion.connectors.words import Incremental, RestEntity, RestSource
from warehouse.errors import ContractError
from warehouse.settings import Settings

# After so many readings a list that still changes is left for the next fetch.
_READINGS: Final = 6


def fetch_rest(settings: Settings, connector: Connector, report: Report) -> Fetched:
    declared = connector.source_as(RestSource)
    entities = connector.entities_as(RestEntity)
    for name in entities:
        if connector.contracts[name].format != "jsonl":
            raise ContractError(
                f"{connector.file}: {connector.source}.{name}: an API's rows land as JSON lines.",
                remedy="Say `format: jsonl` in its meta.",
            )
    pages, fetched = Pages(declared, connector.source), Fetched(connector.source, "rest")
    for name, entity in entities.items():
        stream = Stream(settings, connector.source, name)
        stream.settle()
        with tempfile.TemporaryFile() as made:
            reading = _Reading(entity, stream.cursor, cast(BinaryIO, made))
            is_quiet = _read(pages, entity, declared, reading, report)
            if not is_quiet:
                fetched.problems.append(
                    f"{name} kept changing while it was read {_READINGS} times; what came has "
                    "landed, and is asked for again next time"
                )
            cursor = reading.cursor_after(is_quiet=is_quiet)
            if reading.rows and reading.is_news:
                delivery = stream.begin()
                made.seek(0)
                with delivery.batch(name, "rows", "jsonl") as into:
                    copy(cast(BinaryIO, made), into)
                stream.commit(delivery, cursor)
                fetched.add(name, files=1, rows=reading.rows, size=made.tell())
        if reading.repeated and entity.incremental is None:
            fetched.notes.append(f"{name}: {reading.repeated:,} rows came twice and are kept once")
    return fetched


def _read(
    pages: Pages, entity: RestEntity, declared: RestSource, reading: _Reading, report: Report
) -> bool:
    """Read the list; where pages shift, until a reading brings nothing new."""
    paginate = entity.paginate or declared.paginate
    shifts = paginate.kind in ("page", "offset") and paginate.read_again
    for _ in range(_READINGS):
        before = reading.rows
        for page in pages.of(entity, reading.params()):
            reading.take(page)
        if not shifts or reading.rows == before:
            report(f"  {entity.path}: {reading.rows:,} rows")
            return True
        report(f"  {entity.path}: {reading.rows:,} rows, once more")
    return False


class _Reading:
    """The rows of one fetch, each once, and how far they reach."""

    def __init__(self, entity: RestEntity, cursor: Mapping[str, Any], into: BinaryIO) -> None:
        self._incremental, self._into = entity.incremental, into
        self._before = cursor
        self._known = set(cursor.get("edge", ()))
        self._seen: dict[str, Any] = {}
        self._highest: Any = cursor.get("highest")
        self._whole = hashlib.blake2b(digest_size=16)
        self.rows, self.repeated = 0, 0

    def params(self) -> dict[str, Any]:
        if self._incremental is None:
            return {}
        start = _earlier(self._before.get("highest"), self._incremental)
        return {self._incremental.param: start} if start not in (None, "") else {}

    def take(self, page: list[str]) -> None:
        for row in page:
            digest = hashlib.blake2b(row.encode(), digest_size=12).hexdigest()
            if digest in self._seen:
                self.repeated += 1
                continue
            value = _value(row, self._incremental)
            self._seen[digest] = value
            if digest in self._known:
                continue
            self._into.write(row.encode())
            self._into.write(b"\n")
            self._whole.update(digest.encode())
            self.rows += 1
            if value is not None and (self._highest is None or _rank(value) > _rank(self._highest)):
                self._highest = value

    @property
    def is_news(self) -> bool:
        """A list that is read whole lands again only if it is not what it was."""
        return self._incremental is not None or self._digest != self._before.get("whole")

    @property
    def _digest(self) -> str:
        return self._whole.hexdigest()

    def cursor_after(self, *, is_quiet: bool) -> dict[str, Any]:
        if self._incremental is None:
            return {"whole": self._digest}
        if not is_quiet:
            # From the same place again, less what has landed.
            return {**self._before, "edge": sorted(self._known | set(self._seen))}
        start = _earlier(self._highest, self._incremental)
        # Rows that the next fetch will be given again.
        edge = [
            digest
            for digest, value in self._seen.items()
            if value is not None and start is not None and _rank(value) >= _rank(start)
        ]
        return {"highest": self._highest, "edge": edge}


def _value(row: str, incremental: Incremental | None) -> Any:
    if incremental is None:
        return None
    value: Any = json.loads(row)
    for name in incremental.field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _earlier(highest: Any, incremental: Incremental) -> Any:
    """From where the next reading starts."""
    if highest is None:
        return incremental.initial or None
    moment = _moment(highest)
    if not incremental.overlap_seconds or moment is None:
        return highest
    return (moment - timedelta(seconds=incremental.overlap_seconds)).isoformat()


def _rank(value: Any) -> tuple[int, Any]:
    """Numbers, moments and texts, each in their own order."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, value
    moment = _moment(value)
    return (1, moment.timestamp()) if moment is not None else (2, str(value))


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or len(value) < 10:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
