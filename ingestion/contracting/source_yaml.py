"""A promise written as the source YAML that it would be read from."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from ingestion.contracting.promises import Promise, PromisedColumn
from ingestion.contracts import MAX_LINE_BYTES
from warehouse.schemas import IN_YAML

WIDTH: Final = 100


def written(promises: Sequence[Promise]) -> str:
    """The file of one source; what most of it shares stands once, at the top."""
    first = promises[0]
    classification = Counter(each.classification for each in promises).most_common(1)[0][0]
    meta: dict[str, Any] = {"owner": first.owner} if first.owner else {}
    meta |= {} if first.tier is None else {"tier": first.tier}
    meta |= {"classification": classification}
    lines = [
        "version: 2",
        "",
        f"# The contract of {first.contract.source} (app.yml says what the keys mean).",
        "sources:",
        f"  - name: {first.contract.source}",
        *_described(first.source_description, 4),
        '    database: "{{ target.database }}"',
        f'    schema: "{IN_YAML}{first.contract.schema}"',
        "    config:",
        "      meta:",
        *(f"        {key}: {_flow(value)}" for key, value in meta.items()),
        "    tables:",
    ]
    for number, promise in enumerate(promises):
        lines += [""] if number else []
        lines += _table(promise, classification)
    return "\n".join([*lines, ""])


def _table(promise: Promise, classification: str) -> Iterator[str]:
    contract = promise.contract
    meta: dict[str, Any] = {"format": contract.format}
    if promise.classification != classification:
        meta["classification"] = promise.classification
    if contract.key:
        meta["key"] = list(contract.key)
    meta |= {"change_log": promise.change_log, "on_drift": contract.on_drift}
    if contract.delimiter != ",":
        meta["delimiter"] = contract.delimiter
    if contract.max_line_bytes != MAX_LINE_BYTES:
        meta["max_line_bytes"] = contract.max_line_bytes
    if promise.freshness_hours is not None:
        hours = promise.freshness_hours
        meta["service_level"] = {"freshness_hours": int(hours) if hours == int(hours) else hours}
    yield f"      - name: {contract.entity}"
    yield from _described(promise.description, 8)
    yield "        config:"
    yield "          meta:"
    yield from (f"            {key}: {_flow(value)}" for key, value in meta.items())
    yield "        columns:"
    for column in promise.columns:
        yield f"          - name: {_flow(column.name)}"
        yield f"            data_type: {column.data_type}"
        yield from _described(column.description, 12)
        said = _column_meta(column, promise.classification)
        if said:
            yield f"            config: {_flow({'meta': said})}"


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


def _described(text: str, indent: int) -> Iterator[str]:
    if not text:
        return
    line = f"{' ' * indent}description: {_flow(text)}"
    if len(line) <= WIDTH or " ".join(text.split()) != text:
        yield line
        return
    yield f"{' ' * indent}description: >-"
    inner = " " * (indent + 2)
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=inner, subsequent_indent=inner,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _flow(value: Any) -> str:
    """On one line."""
    style = '"' if isinstance(value, str) and ("\n" in value or "{{" in value) else None
    text = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, width=2**30,
        sort_keys=False, allow_unicode=True,
    )  # fmt: skip
    return text.removesuffix("\n").removesuffix("\n...")
