"""Which events there are, and what each must carry: the seed, the source's YAML, the contract."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ingestion.connectors.declaration import Connector
from ingestion.connectors.words import CollectorSource, EventWords
from ingestion.contracts import Contract
from warehouse.errors import ContractError
from warehouse.settings import Settings

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


@dataclass(frozen=True)
class Taxonomy:
    """Judges one event at a time, in microseconds."""

    events: Mapping[str, EventWords]
    required: tuple[str, ...]
    moments: tuple[str, ...]
    max_bytes: int
    fingerprint: str

    def fault(self, row: Mapping[str, Any], size: int) -> str | None:
        """Why a row, so many bytes long, is no event of ours; nothing if it is one."""
        if size > self.max_bytes:
            return f"it is longer than {self.max_bytes:,} bytes"
        for name in self.required:
            if row.get(name) in (None, ""):
                return f"{name} is required and missing"
        for name in self.moments:
            value = row.get(name)
            if value is not None and not _is_moment(value):
                return f"{name} is no time (ISO 8601 with a zone)"
        event = row.get("event_name")
        words = self.events.get(event) if isinstance(event, str) else None
        if words is None:
            return f"{event!r} is not in the event taxonomy"
        properties = row.get("properties")
        if properties is not None and not isinstance(properties, dict):
            return "properties is no object"
        return _property_fault(words, properties or {})


def _property_fault(words: EventWords, properties: Mapping[str, Any]) -> str | None:
    for name in words.required:
        if properties.get(name) is None:
            return f"properties.{name} is required and missing"
    for name, kind in words.properties.items():
        value = properties.get(name)
        if value is None:
            continue
        if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
            return f"properties.{name} is no {kind}"
    return None


def _is_moment(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def read_taxonomy(settings: Settings, connector: Connector) -> Taxonomy:
    declared = connector.source_as(CollectorSource)
    [contract] = collected(connector)
    path = settings.dbt_project_dir.parent / "seeds" / f"{declared.taxonomy}.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            names = [row["event_name"] for row in csv.DictReader(stream)]
    except (OSError, KeyError) as error:
        raise ContractError(
            f"The event taxonomy {path} cannot be read: {error!r}.",
            remedy="It is a CSV with a column event_name; `taxonomy` of the connector names it.",
        ) from error
    events = {name: declared.events.get(name, EventWords()) for name in names} | declared.events
    text = repr((sorted(events.items()), contract, declared.max_event_bytes))
    return Taxonomy(
        events=events,
        required=tuple(column.name for column in contract.required),
        moments=tuple(c.name for c in contract.columns if c.data_type == "timestamptz"),
        max_bytes=declared.max_event_bytes,
        fingerprint=hashlib.blake2b(text.encode(), digest_size=12).hexdigest(),
    )


def collected(connector: Connector) -> list[Contract]:
    """The one entity into which events go."""
    contracts = [connector.contracts[name] for name in connector.entities]
    if len(contracts) != 1 or contracts[0].format != "jsonl":
        raise ContractError(
            f"{connector.file}: the collector of {connector.source} needs exactly one table, "
            "with `format: jsonl`.",
            remedy="Put other tables into a source of their own.",
        )
    return contracts
