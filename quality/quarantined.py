"""What may be shown of a row that was not understood: its columns by name, personal ones masked.

Of a value that is not what its column promises, or may be another column's, only the shape is
shown: letters as x, digits as 9.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from catalog.catalog import Catalog, Dataset
from ingestion.contracts import Contract, read_contracts
from ingestion.csv_records import csv_header, split_records
from ingestion.landing import Landing
from ingestion.quarantine import QuarantinedRow
from quality.masking import HIDDEN, UNDECLARED, mask, personal_columns, plain, shown_row
from warehouse.settings import Settings

_BEGIN = re.compile(r"\s*\{\s*")
_KEY = re.compile(r'("(?:[^"\\]|\\.)*")\s*:\s*')
_END = re.compile(r"\s*[,}]\s*")
_DAY = r"[12]\d{3}-\d\d-\d\d"
# What a value of the type looks like; a text may look like anything.
_SHAPES: Final = {
    "bigint": re.compile(r"[+-]?\d+"),
    "integer": re.compile(r"[+-]?\d+"),
    "decimal": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?"),
    "boolean": re.compile(r"true|false|[tf01]", re.IGNORECASE),
    "date": re.compile(_DAY),
    "timestamptz": re.compile(_DAY + r"([T ]\d\d(:\d\d){0,2}(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?)?"),
}
# A day tells nobody apart, whatever column it slipped into; digits may be a telephone number.
_HARMLESS: Final = ("boolean", "date", "timestamptz")


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
    spoken = {column.name for each in catalog.datasets.values() for column in each.columns}

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
            values, rest = _fields_of_csv(contract, names, content)
        else:
            values, rest = _fields_of_json(content)
        told = shown_row(values, _hidden(dataset, values))
        told |= _shapes(dataset, contract, values)
        return ShownRow(row, _named({*contract.known_names, *spoken}, told), rest)

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


def _named(known: Collection[str], values: Mapping[str, str | None]) -> dict[str, str | None]:
    """A name that is no column's anywhere may be a person's."""
    named: dict[str, str | None] = {}
    for name, value in values.items():
        told = name
        if name not in known:
            told = mask(name) or HIDDEN
            while told in named:
                told += "*"
        named[told] = value
    return named


def _shapes(dataset: Dataset, contract: Contract, values: Mapping[str, Any]) -> dict[str, str]:
    """Of values that may be something else than their column's, by their names.

    One comma too many shifts all that follows in a record of CSV: where any column is personal,
    no text and no number of it is sure to stand under its own name.
    """
    personal = personal_columns(dataset)
    in_doubt = contract.format == "csv" and not personal <= {UNDECLARED}
    shapes: dict[str, str] = {}
    for column in contract.columns:
        kind = column.data_type.partition("(")[0]
        is_sure = not in_doubt or kind in _HARMLESS
        for name in column.names:
            text = plain(values.get(name))
            is_told = column.name in personal or isinstance(values.get(name), dict | list)
            if text and not is_told and not (is_sure and _fits(kind, text)):
                shapes[name] = "".join(map(_shape, text))
    return shapes


def _fits(kind: str, text: str) -> bool:
    return kind not in _SHAPES or _SHAPES[kind].fullmatch(text) is not None


def _shape(character: str) -> str:
    if character.isnumeric():
        return "9"
    return character if character.isascii() and not character.isalpha() else "x"


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
