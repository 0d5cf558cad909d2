"""CSV record by record, for files in which a line is not simply a row."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ingestion.contracts import Contract
from ingestion.inspection import Inspected, unpacked
from ingestion.landing import Landing
from ingestion.validation import FIELD_COUNT, OPEN_QUOTE

_RECORDS_A_CHUNK: Final = 50_000


@dataclass(frozen=True)
class CsvRecord:
    """One record, on the physical line on which it starts."""

    row_number: int
    content: str
    fields: tuple[str, ...] = ()
    structure: int = 0


def csv_records(landing: Landing, inspected: Inspected) -> Iterator[list[CsvRecord]]:
    """All records of a file after its header, some at a time."""
    contract = inspected.contract
    # A field may be as long as a line.
    csv.field_size_limit(contract.max_line_bytes)
    with unpacked(landing, inspected.file.path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        next(text, None)
        records = split_records(
            enumerate(text, start=2),
            len(inspected.header),
            contract.delimiter,
            contract.max_line_bytes,
        )
        while chunk := list(islice(records, _RECORDS_A_CHUNK)):
            yield chunk


def split_records(
    lines: Iterable[tuple[int, str]], field_count: int, delimiter: str, limit: int
) -> Iterator[CsvRecord]:
    """Numbered lines into records; a quote that never closes costs its own line only."""
    waiting: deque[tuple[int, str]] = deque()
    source = iter(lines)
    while True:
        line = waiting.popleft() if waiting else next(source, None)
        if line is None:
            return
        number, content = line
        if not content.strip("\r\n"):
            continue
        fields, is_open = _fields(content, delimiter)
        taken: list[tuple[int, str]] = []
        whole = content
        while is_open and len(whole) <= limit:
            following = waiting.popleft() if waiting else next(source, None)
            if following is None:
                break
            taken.append(following)
            whole += following[1]
            if '"' in following[1]:
                fields, is_open = _fields(whole, delimiter)
        if is_open or (fields is None and taken):
            waiting.extendleft(reversed(taken))
            fields, whole = None, content
        yield _record(number, whole.rstrip("\r\n"), fields, field_count)


def csv_header(landing: Landing, contract: Contract, path: str) -> tuple[str, ...]:
    """The names in a file's first line."""
    [(_, line)] = lines_of(landing, path, {1})
    return tuple(cell.strip() for cell in next(csv.reader([line], delimiter=contract.delimiter)))


def _fields(text: str, delimiter: str) -> tuple[tuple[str, ...] | None, bool]:
    """The fields, or None when it is no record; and whether a quote is still open at its end."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        return None, "unexpected end" in str(error)
    return (tuple(rows[0]), False) if len(rows) == 1 else (None, False)


def _record(
    number: int, content: str, fields: tuple[str, ...] | None, field_count: int
) -> CsvRecord:
    if fields is None:
        return CsvRecord(number, content, structure=OPEN_QUOTE)
    if len(fields) != field_count:
        return CsvRecord(number, content, structure=FIELD_COUNT)
    return CsvRecord(number, content, fields)


def lines_of(landing: Landing, path: str, rows: set[int]) -> Iterator[tuple[int, str]]:
    """These physical lines of a text file."""
    with unpacked(landing, path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n")
        last = max(rows)
        for number, line in enumerate(text, start=1):
            if number in rows:
                yield number, line.rstrip("\r\n")
            if number >= last:
                return
