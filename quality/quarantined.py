"""What may be shown of a row that was not understood: its columns by name, personal ones masked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from catalog.catalog import Catalog, Dataset
from ingestion.contracts import Contract, read_contracts
from ingestion.csv_records import csv_header, split_records
from ingestion.landing import Landing
from ingestion.quarantine import QuarantinedRow
from quality.masking import HIDDEN, UNDECLARED, mask, personal_columns, shown_row
from warehouse.settings import Settings

_BEGIN = re.compile(r"\s*\{\s*")
_KEY = re.compile(r'("(?:[^"\\]|\\.)*")\s*:\s*')
_END = re.compile(r"\s*[,}]\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_DAY = r"[12]\d{3}-\d\d-\d\d"
# A name or an address has none of these shapes, whatever column it slipped into.
_SHAPES: Final = {
    "bigint": re.compile(r"[+-]?\d+"),
    "integer": re.compile(r"[+-]?\d+"),
    "decimal": re.compile(r"[+-]?\d*\.?\d+"),
    "boolean": re.compile(r"true|false|[tf01]", re.IGNORECASE),
    "date": re.compile(_DAY),
    "timestamptz": re.compile(_DAY + r"([T ]\d\d(:\d\d){0,2}(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?)?"),
}


@dataclass(frozen=True)
class ShownRow:
    """A quarantined row's values by their names, and how many characters belong to no name."""

    row: QuarantinedRow
    values: Mapping[str, str | None]
    hidden_characters: int


def shown_rows(
    settings: Settings, catalog: Catalog, rows: Sequence[QuarantinedRow]
) -> list[ShownRow]:
    """Nothing of a value whose column cannot be told: nobody knows what it is."""
    contracts, landing = read_contracts(settings), Landing(settings)

    @cache
    def header(source: str, entity: str, file: str) -> tuple[str, ...]:
        try:
            return csv_header(landing, contracts[source][entity], file)
        except (OSError, ValueError, StopIteration):
            # Landing has let the file go, or it cannot be read: its fields have no names then.
            return ()

    def shown(row: QuarantinedRow) -> ShownRow:
        dataset = catalog.datasets.get(f"raw.{row.source}.{row.entity}")
        contract = contracts.get(row.source, {}).get(row.entity)
        content = row.content or ""
        if dataset is None or contract is None:
            return ShownRow(row, {}, len(content))
        if contract.format == "csv":
            names = header(row.source, row.entity, row.file)
            fields, rest = _fields_of_csv(contract, names, content)
            hidden = _hidden(dataset, fields) | _in_doubt(dataset, contract, fields)
            return ShownRow(row, _named(contract, shown_row(fields, hidden)), rest)
        values, rest = _fields_of_json(content)
        told = _named(contract, shown_row(values, _hidden(dataset, values)))
        return ShownRow(row, told, rest)

    return [shown(row) for row in rows]


def _hidden(dataset: Dataset, names: Mapping[str, Any]) -> set[str]:
    """Names that nobody declared, and those of personal columns, under whatever alias they came."""
    personal = personal_columns(dataset)
    open_names = {
        name
        for column in dataset.columns
        if column.name not in personal
        for name in (column.name, *column.aliases)
    }
    return set(names) - open_names


def _named(contract: Contract, values: Mapping[str, str | None]) -> dict[str, str | None]:
    """A name that nobody declared may be an address: it is masked unless it looks like a name."""
    named: dict[str, str | None] = {}
    for name, value in values.items():
        told = name
        if name not in contract.known_names and not _NAME.fullmatch(name):
            told = mask(name) or HIDDEN
            while told in named:
                told += "*"
        named[told] = value
    return named


def _in_doubt(dataset: Dataset, contract: Contract, values: Mapping[str, str]) -> set[str]:
    """Columns of a record that may hold a personal value: one comma too many shifts all of them.

    So where any column is personal, a value counts as its column's only if it has its type's shape.
    """
    if personal_columns(dataset) <= {UNDECLARED}:
        return set()
    kinds = {name: each.data_type for each in contract.columns for name in each.names}
    return {name for name, text in values.items() if text and not _is_shaped(kinds, name, text)}


def _is_shaped(kinds: Mapping[str, str], name: str, text: str) -> bool:
    shape = _SHAPES.get(kinds.get(name, "").partition("(")[0])
    return shape is not None and shape.fullmatch(text) is not None


def _fields_of_csv(
    contract: Contract, header: Sequence[str], content: str
) -> tuple[dict[str, str], int]:
    records = split_records([(1, content)], len(header), contract.delimiter, len(content))
    fields = next((each.fields for each in records), ())
    # A header without any known name is a row, whose values are nobody's names.
    is_header = not set(header).isdisjoint(contract.known_names)
    if not is_header or len(fields) != len(header):
        return {}, len(content)
    return dict(zip(header, fields, strict=True)), 0


def _fields_of_json(content: str) -> tuple[dict[str, Any], int]:
    """What an object's beginning tells, for a line may be cut or wrong further on.

    A value counts when a comma or the closing brace follows: of a cut one nobody knows the rest.
    """
    values: dict[str, Any] = {}
    decoder, begin = json.JSONDecoder(), _BEGIN.match(content)
    place = begin.end() if begin else 0
    while begin and (key := _KEY.match(content, place)):
        try:
            name = json.loads(key.group(1))
            value, end = decoder.raw_decode(content, key.end())
        except (ValueError, RecursionError):
            break
        after = _END.match(content, end)
        if after is None:
            break
        values[name], place = value, after.end()
    return values, len(content) - place
