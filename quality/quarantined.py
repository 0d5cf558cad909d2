"""What may be shown of a row that was not understood: its columns by name, personal ones masked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from catalog.catalog import Catalog, Dataset
from ingestion.contracts import Contract, read_contracts
from ingestion.csv_records import csv_header, split_records
from ingestion.landing import Landing
from ingestion.quarantine import QuarantinedRow
from quality.masking import personal_columns, shown_row
from warehouse.settings import Settings

_BEGIN = re.compile(r"\s*\{\s*")
_KEY = re.compile(r'("(?:[^"\\]|\\.)*")\s*:\s*')
_END = re.compile(r"\s*[,}]\s*")


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
            values, rest = _fields_of_csv(contract, names, content)
        else:
            values, rest = _fields_of_json(content)
        return ShownRow(row, shown_row(values, _hidden(dataset, values)), rest)

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


def _fields_of_csv(
    contract: Contract, header: Sequence[str], content: str
) -> tuple[dict[str, Any], int]:
    records = split_records([(1, content)], len(header), contract.delimiter, len(content))
    fields = next((each.fields for each in records), ())
    if not header or len(fields) != len(header):
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
