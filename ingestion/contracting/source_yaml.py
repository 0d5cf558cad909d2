"""A promise written as the source YAML that it would be read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catalog.yaml_lines import described, entry, flow, scalar, whole
from ingestion.contracting.promises import Promise, PromisedColumn
from ingestion.contracts import MAX_LINE_BYTES
from warehouse.schemas import IN_YAML


def written(
    promises: Sequence[Promise],
    connector: Mapping[str, Any] | None = None,
    connectors: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The file of one source; what most of it shares stands once, at the top.

    `connector` says how the source comes in, and `connectors` what each entity adds to it.
    """
    first = promises[0]
    classification = Counter(each.classification for each in promises).most_common(1)[0][0]
    meta: dict[str, Any] = {"owner": first.owner} if first.owner else {}
    meta |= {} if first.tier is None else {"tier": first.tier}
    meta |= {"classification": classification}
    meta |= {"connector": connector} if connector else {}
    lines = [
        "version: 2",
        "",
        f"# The contract of {first.contract.source} (app.yml says what the keys mean).",
        "sources:",
        f"  - name: {first.contract.source}",
        *described(first.source_description, 4),
        '    database: "{{ target.database }}"',
        f'    schema: "{IN_YAML}{first.contract.schema}"',
        "    config:",
        "      meta:",
        *(line for key, value in meta.items() for line in entry(key, value, 8)),
        "    tables:",
    ]
    for number, promise in enumerate(promises):
        lines += [""] if number else []
        lines += _table(promise, classification, (connectors or {}).get(promise.contract.entity))
    return whole(lines)


def _table(
    promise: Promise, classification: str, connector: Mapping[str, Any] | None
) -> Iterator[str]:
    contract = promise.contract
    meta: dict[str, Any] = {"format": contract.format}
    if promise.classification != classification:
        meta["classification"] = promise.classification
    if contract.key:
        meta["key"] = list(contract.key)
    if connector:
        meta["connector"] = connector
    meta |= {"change_log": promise.change_log, "on_drift": contract.on_drift}
    if contract.delimiter != ",":
        meta["delimiter"] = contract.delimiter
    if contract.max_line_bytes != MAX_LINE_BYTES:
        meta["max_line_bytes"] = contract.max_line_bytes
    if promise.freshness_hours is not None:
        hours = promise.freshness_hours
        meta["service_level"] = {"freshness_hours": int(hours) if hours == int(hours) else hours}
    yield f"      - name: {contract.entity}"
    yield from described(promise.description, 8)
    yield "        config:"
    yield "          meta:"
    for key, value in meta.items():
        yield from entry(key, value, 12)
    yield "        columns:"
    for column in promise.columns:
        yield f"          - name: {scalar(column.name)}"
        yield f"            data_type: {column.data_type}"
        yield from described(column.description, 12)
        said = _column_meta(column, promise.classification)
        if said:
            yield f"            config: {flow({'meta': said})}"


def _column_meta(column: PromisedColumn, classification: str) -> Mapping[str, Any]:
    said: dict[str, Any] = {"required": True} if column.is_required else {}
    if column.classification != classification:
        said["classification"] = column.classification
    if column.aliases:
        said["aliases"] = list(column.aliases)
    if column.fields:
        said["fields"] = dict(column.fields)
    if column.deprecated_on is not None:
        said["deprecated_on"] = column.deprecated_on.isoformat()
    return said
