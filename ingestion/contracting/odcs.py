"""Contracts as Open Data Contract Standard YAML (version 3), and back.

What the standard has no word for stands in its `customProperties` under our own. How we fetch the
data (`connector`) and how long we keep it (`retention`) are no part of what the source promises,
and stay here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from ingestion.contracting.promises import Promise, PromisedColumn
from ingestion.contracts import MAX_LINE_BYTES

API_VERSION: Final = "v3.1.0"
LOGICAL_TYPES: Final = {
    "varchar": "string",
    "bigint": "integer",
    "integer": "integer",
    "boolean": "boolean",
    "date": "date",
    "timestamptz": "timestamp",
    "json": "object",
}
# Our words in `customProperties`, of a source, a table, a column.
TIER: Final = "tier"
FORMAT, ON_DRIFT, CHANGE_LOG = "format", "onDrift", "changeLog"
DELIMITER, MAX_LINE, CLASSIFICATION = "delimiter", "maxLineBytes", "classification"
ALIASES, FIELDS, DEPRECATED_ON = "aliases", "fields", "deprecatedOn"
FRESHNESS: Final = "freshness"

Document = dict[str, Any]


def exported(promises: Sequence[Promise]) -> str:
    """One source as one document; its version changes with anything that it promises."""
    first = promises[0]
    body: Document = {
        "description": {"purpose": first.source_description},
        "team": {"name": first.owner},
        "schema": [_table(promise) for promise in promises],
        "slaProperties": [
            {"property": FRESHNESS, "value": _number(each.freshness_hours), "unit": "h",
             "element": each.contract.entity}
            for each in promises if each.freshness_hours is not None
        ],
        "customProperties": _custom({TIER: first.tier}),
    }  # fmt: skip
    text = _dumped(body)
    head = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": first.contract.source,
        "name": first.contract.source,
        "version": hashlib.sha256(text.encode()).hexdigest()[:12],
        "status": "active",
    }
    return _dumped(head | _without_empty(body))


def _table(promise: Promise) -> Document:
    contract = promise.contract
    limit = contract.max_line_bytes
    return _without_empty(
        {
            "name": contract.entity,
            "physicalName": f"{contract.schema}.{contract.entity}",
            "physicalType": "table",
            "logicalType": "object",
            "description": promise.description,
            "properties": [_property(promise, column) for column in promise.columns],
            "customProperties": _custom(
                {
                    FORMAT: contract.format,
                    ON_DRIFT: contract.on_drift,
                    CHANGE_LOG: promise.change_log,
                    CLASSIFICATION: promise.classification,
                    DELIMITER: contract.delimiter if contract.format == "csv" else None,
                    MAX_LINE: limit if limit != MAX_LINE_BYTES else None,
                }
            ),
        }
    )


def _property(promise: Promise, column: PromisedColumn) -> Document:
    key = promise.contract.key
    kind = column.data_type
    deprecated_on = column.deprecated_on
    found: Document = {
        "name": column.name,
        "logicalType": LOGICAL_TYPES.get(kind, "number"),
        "physicalType": kind,
        "description": column.description,
        "classification": column.classification,
    }
    if column.is_required:
        found["required"] = True
    if column.name in key:
        found |= {"primaryKey": True, "primaryKeyPosition": key.index(column.name) + 1}
    found["customProperties"] = _custom(
        {
            ALIASES: list(column.aliases) or None,
            # As `properties` they would need types, which nobody has promised.
            FIELDS: dict(column.fields) or None,
            DEPRECATED_ON: deprecated_on.isoformat() if deprecated_on else None,
        }
    )
    return _without_empty(found)


def _custom(values: Mapping[str, Any]) -> list[Document]:
    return [{"property": k, "value": v} for k, v in values.items() if v is not None]


def _without_empty(values: Document) -> Document:
    return {key: each for key, each in values.items() if each not in ("", [], {}, None)}


def _number(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value


def _dumped(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def custom_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return {str(e.get("property")): e.get("value") for e in _listed(node, "customProperties")}


def _listed(node: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    for each in node.get(key) or ():
        if isinstance(each, Mapping):
            yield each
