"""From how a file was received to what the loader takes; where both are one, nothing is touched.

| received | contract says csv | contract says jsonl | contract says parquet |
|---|---|---|---|
| csv, tsv, excel | as it is, or its header and encoding | one object a row | – |
| json | – | one element a line, its text untouched | – |
| jsonl | – | as it is, or its encoding | – |
| parquet | – | – | as it is |
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final, TextIO, cast

import orjson
import zstandard

from ingestion.connectors.json_values import NotAnArrayError, elements_of, write_lines
from ingestion.connectors.words import FilesEntity, Received
from ingestion.contracts import Contract
from warehouse.errors import ContractError

_BY_EXTENSION: Final[dict[str, Received]] = {
    "csv": "csv", "txt": "csv", "tsv": "tsv", "tab": "tsv", "json": "json", "jsonl": "jsonl",
    "ndjson": "jsonl", "parquet": "parquet", "pq": "parquet", "xlsx": "excel", "xlsm": "excel",
}  # fmt: skip
_MADE: Final = {
    ("csv", "csv"), ("tsv", "csv"), ("excel", "csv"), ("csv", "jsonl"), ("tsv", "jsonl"),
    ("excel", "jsonl"), ("json", "jsonl"), ("jsonl", "jsonl"), ("parquet", "parquet"),
}  # fmt: skip
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED: Final = ("gz", "zst")


class UnreadableError(Exception):
    """The file is not what it is said to be; landing keeps it, the loader refuses it."""


@dataclass(frozen=True)
class Arrived:
    """A received file on this machine, and what it is said to be."""

    path: Path
    name: str
    format: Received
    packed: str
    declared: FilesEntity

    @property
    def extension(self) -> str:
        return ".".join(self.name.split(".")[1:]).lower() if "." in self.name else "bin"

    @contextmanager
    def bytes(self) -> Iterator[BinaryIO]:
        with self.path.open("rb") as stream:
            if self.packed == "gz":
                with gzip.open(stream) as plain:
                    yield cast(BinaryIO, plain)
            elif self.packed == "zst":
                with tempfile.TemporaryFile(dir=self.path.parent) as plain:
                    _unpack_zstd(stream, cast(BinaryIO, plain))
                    plain.seek(0)
                    yield cast(BinaryIO, plain)
            else:
                yield stream

    @contextmanager
    def text(self) -> Iterator[TextIO]:
        with self.bytes() as stream:
            wrapped = io.TextIOWrapper(stream, encoding=self.encoding, newline="")
            yield wrapped
            wrapped.detach()

    @cached_property
    def encoding(self) -> str:
        """What its mark says, else the declaration, else UTF-8."""
        with self.bytes() as stream:
            head = stream.read(4)
        marked = next((name for mark, name in _MARKS if head.startswith(mark)), "")
        return marked or self.declared.encoding or "utf-8"

    def delimiter(self, contract: Contract) -> str:
        return self.declared.delimiter or ("\t" if self.format == "tsv" else contract.delimiter)


def arrived(path: Path, name: str, declared: FilesEntity) -> Arrived:
    parts = name.lower().split(".")[1:]
    packed = parts[-1] if parts and parts[-1] in _PACKED else ""
    plain = parts[-2:-1] if packed else parts[-1:]
    found = declared.format or (_BY_EXTENSION.get(plain[0]) if plain else None)
    if found is None:
        raise UnreadableError(f"{name}: its ending does not say what it is; declare `format`.")
    return Arrived(path, name, found, packed, declared)


def check(contract: Contract, declared: FilesEntity, where: str) -> None:
    """Before anything is read: can what is declared become what the contract says?"""
    if declared.encoding:
        try:
            codecs.lookup(declared.encoding)
        except LookupError as error:
            raise ContractError(
                f"{where}: the encoding {declared.encoding!r} is unknown.",
                remedy="Name one that Python knows, such as utf-8, latin-1, cp1252, utf-16.",
            ) from error
    if declared.format and (declared.format, contract.format) not in _MADE:
        raise ContractError(
            f"{where}: {declared.format} files cannot become the {contract.format} that the "
            "contract's `format` says.",
            remedy="json and jsonl need `format: jsonl`, parquet `format: parquet`; "
            "csv, tsv and excel fit csv and jsonl.",
        )


def fits_as_it_is(file: Arrived, contract: Contract) -> bool:
    """May it land byte for byte under its own name?"""
    if (file.format, contract.format) not in _MADE:
        raise UnreadableError(
            f"{file.name} is {file.format}, which does not become {contract.format}."
        )
    if file.packed == "zst":
        return False
    if contract.format == "parquet":
        return not file.packed
    if file.format in ("json", "excel") or file.encoding not in ("utf-8", "utf-8-sig"):
        return False
    if contract.format == "jsonl":
        return file.format == "jsonl"
    if file.declared.skip_rows or file.delimiter(contract) != contract.delimiter:
        return False
    with file.text() as text:
        header = _header(text.readline(), contract.delimiter)
    return header == contract_header(contract, header)


def landed_extension(file: Arrived, contract: Contract, *, as_it_is: bool) -> str:
    return f"{contract.format}.gz" if as_it_is and file.packed == "gz" else contract.format


def convert(file: Arrived, contract: Contract, into: BinaryIO) -> int:
    """Write what the loader takes; gives the number of rows where it is known, else 0."""
    try:
        if file.format == "parquet":
            with file.bytes() as stream:
                copy(stream, into)
            return 0
        if file.format == "json":
            with file.text() as text:
                return write_lines(elements_of(text, contract.max_line_bytes), into)
        if file.format == "excel":
            return _write_rows(_sheet_rows(file), contract, into)
        with file.text() as text:
            for _ in range(file.declared.skip_rows):
                text.readline()
            delimiter = file.delimiter(contract)
            if contract.format == "jsonl" and file.format == "jsonl":
                return _reencode(text, into)
            if contract.format == "csv" and delimiter == contract.delimiter:
                header = contract_header(contract, _header(text.readline(), delimiter))
                into.write(_csv_line(header, delimiter))
                return _reencode(text, into)
            return _write_rows(csv.reader(text, delimiter=delimiter), contract, into)
    except UnicodeError as error:
        raise UnreadableError(f"{file.name} is not {file.encoding}: {error}.") from error
    except (csv.Error, NotAnArrayError, EOFError, OSError, zstandard.ZstdError) as error:
        raise UnreadableError(f"{file.name}: {error}") from error


def _unpack_zstd(stream: BinaryIO, into: BinaryIO) -> None:
    """Frame by frame: the library's own reader takes a file that is cut off for a whole one."""
    frame, is_whole = zstandard.ZstdDecompressor().decompressobj(), False
    while block := stream.read(1 << 20):
        while block:
            into.write(frame.decompress(block))
            block, is_whole = frame.unused_data, frame.eof
            if is_whole:
                frame = zstandard.ZstdDecompressor().decompressobj()
    if not is_whole:
        raise EOFError("The zstd file is cut off.")


def copy(stream: BinaryIO, into: BinaryIO) -> None:
    while block := stream.read(1 << 20):
        into.write(block)


def contract_header(contract: Contract, header: Sequence[str]) -> list[str]:
    """The contract's own spelling of names that differ in case, spaces or signs only."""
    known = {_bare(name): name for name in contract.known_names}
    named = set(contract.known_names)
    return [
        name.strip() if name.strip() in named else known.get(_bare(name), name) for name in header
    ]


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _header(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])


def _csv_line(values: Sequence[object], delimiter: str) -> bytes:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(values)
    return line.getvalue().encode()


def _reencode(text: TextIO, into: BinaryIO) -> int:
    while block := text.read(1 << 20):
        into.write(block.encode())
    return 0


def _write_rows(rows: Iterable[Sequence[object]], contract: Contract, into: BinaryIO) -> int:
    """A header and rows, as CSV or as objects; an empty cell is an absent value."""
    source = iter(rows)
    first = next(source, None)
    if first is None:
        return 0
    header, count = contract_header(contract, [str(name or "") for name in first]), 0
    if contract.format == "csv":
        into.write(_csv_line(header, contract.delimiter))
    for row in source:
        if not any(value not in (None, "") for value in row):
            continue
        count += 1
        if contract.format == "csv":
            into.write(_csv_line(["" if v is None else v for v in row], contract.delimiter))
        else:
            named = dict(zip(header, row, strict=False))
            kept = {name: v for name, v in named.items() if v not in (None, "")}
            # What is beyond the header is named by its place, so that the loader reports it.
            kept |= {f"column_{n}": v for n, v in enumerate(row[len(header) :], len(header) + 1)}
            into.write(orjson.dumps(kept, default=str) + b"\n")
    return count


def _sheet_rows(file: Arrived) -> Iterator[Sequence[object]]:
    import openpyxl  # type: ignore[import-untyped]

    try:
        with file.bytes() as stream:
            book = openpyxl.load_workbook(io.BytesIO(stream.read()), read_only=True, data_only=True)
    except Exception as error:
        # The library raises what its parts raise: of zip, of XML, of its own.
        raise UnreadableError(f"{file.name} is no readable Excel file: {error}") from error
    wanted = file.declared.sheet
    if wanted and wanted not in book.sheetnames:
        raise UnreadableError(
            f"{file.name} has no sheet {wanted!r}, but {', '.join(book.sheetnames)}."
        )
    sheet = book[wanted] if wanted else book[book.sheetnames[0]]
    for row in sheet.iter_rows(min_row=file.declared.skip_rows + 1, values_only=True):
        yield [_cell(value) for value in row]
    book.close()


def _cell(value: object) -> object:
    """As a person reads it: whole numbers without a point, times as ISO 8601."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
        return text.removesuffix("T00:00:00")
    return value
