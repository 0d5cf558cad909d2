"""A look at each received file before anything of its source is loaded."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.contracts import Contract
from ingestion.landing import LandedFile, Landing

_BLOCK: Final = 4 * 1024 * 1024
_BOM: Final = codecs.BOM_UTF8
_MEND: Final = (
    "Have the source send it again, right, under a new name; then set this file aside: {command}"
)


@dataclass(frozen=True)
class Refusal:
    """A file that cannot be loaded, and with it nothing that its source sent since."""

    file: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Inspected:
    """A file that can be loaded."""

    file: LandedFile
    contract: Contract
    content_hash: str
    line_count: int = 0
    longest_line: int = 0
    # The names of a CSV's or Parquet's columns; and, for Parquet, everything about its schema.
    header: tuple[str, ...] = ()
    schema: str = ""

    @property
    def is_empty(self) -> bool:
        return self.line_count == 0

    @property
    def has_long_lines(self) -> bool:
        return self.longest_line > self.contract.max_line_bytes


@dataclass(frozen=True)
class Numbered:
    """A file and the batch that it becomes."""

    batch_id: int
    inspected: Inspected

    @property
    def path(self) -> str:
        return self.inspected.file.path


class Unfit(Exception):
    """Why a file is refused."""

    def __init__(self, reason: str, remedy: str = _MEND) -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(reason)


def inspect(landing: Landing, contract: Contract, file: LandedFile) -> Inspected | Refusal:
    try:
        _extension(contract, file)
        if contract.format == "parquet":
            return _parquet(landing, contract, file)
        return _text(landing, contract, file)
    except Unfit as unfit:
        return _refusal(contract, file, unfit)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return _refusal(contract, file, Unfit(f"It cannot be unpacked: {error}."))


def _refusal(contract: Contract, file: LandedFile, unfit: Unfit) -> Refusal:
    command = passing_by(file.path, unfit.reason)
    remedy = unfit.remedy.format(command=command, contract=contract.source)
    return Refusal(file.path, unfit.reason, remedy)


def passing_by(path: str, reason: str) -> str:
    """The whole command that sets a file aside, as it can be given to a shell."""
    because = reason.replace("`", "").removesuffix(".")
    return f"sluice set-aside {shlex.quote(path)} --because {shlex.quote(because)}"


def _digest(content: bytes = b"") -> hashlib.blake2b:
    """Twice as fast as SHA-256 where the processor does not help."""
    return hashlib.blake2b(content, digest_size=32)


def content_hash(landing: Landing, file: LandedFile) -> str:
    digest = _digest()
    with landing.open(file.path) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def unpacked(landing: Landing, path: str) -> Iterator[BinaryIO]:
    """The file's text, whether or not it was landed as .gz."""
    with landing.open(path) as stream:
        if path.endswith(".gz"):
            with gzip.open(stream) as plain:
                yield cast(BinaryIO, plain)
        else:
            yield stream


def without_mark(content: bytes) -> bytes:
    """Windows programs start a UTF-8 file with a byte order mark."""
    return content.removeprefix(_BOM)


def _extension(contract: Contract, file: LandedFile) -> None:
    name = file.name.removesuffix(".gz") if contract.format != "parquet" else file.name
    if not name.endswith(f".{contract.format}"):
        raise Unfit(
            f"The contract of {contract.name} expects .{contract.format} files.",
            "Correct `format` in dbt_project/models/raw/{contract}.yml, or set the file aside: "
            "{command}",
        )


@dataclass
class _Scan:
    """What one pass over a text file finds out."""

    lines: int = 0
    longest: int = 0
    first_line: bytes = b""


def _text(landing: Landing, contract: Contract, file: LandedFile) -> Inspected:
    if file.size <= _BLOCK and not file.name.endswith(".gz"):
        with landing.open(file.path) as stream:
            content = stream.read()
        digest = _digest(content).hexdigest()
        scan = _scan(io.BytesIO(content), contract.max_line_bytes)
    else:
        digest = content_hash(landing, file)
        with unpacked(landing, file.path) as stream:
            scan = _scan(stream, contract.max_line_bytes)
    header: tuple[str, ...] = ()
    if scan.lines and contract.format == "csv":
        if scan.longest > contract.max_line_bytes:
            raise Unfit(_too_long(scan.longest, contract))
        header = _csv_header(contract, scan.first_line)
    elif scan.lines:
        _check_objects(landing, contract, file, scan.first_line)
    return Inspected(file, contract, digest, scan.lines, scan.longest, header)


def _too_long(size: int, contract: Contract) -> str:
    return (
        f"A line of {size:,} bytes is longer than the {contract.max_line_bytes:,} that the "
        "contract allows (`max_line_bytes`)."
    )


def _scan(stream: BinaryIO, limit: int) -> _Scan:
    """Count lines and check the encoding, in blocks, however long the lines are."""
    scan, decoder, open_line = _Scan(), codecs.getincrementaldecoder("utf-8")(), 0
    is_first = True
    while block := stream.read(_BLOCK):
        _check_encoding(decoder, block, scan.lines)
        if is_first:
            end = block.find(b"\n")
            scan.first_line = without_mark(block if end < 0 else block[:end])
            is_first = False
        breaks = block.count(b"\n")
        if breaks:
            first, last = block.find(b"\n"), block.rfind(b"\n")
            inner = _longest(block[first + 1 : last], limit)
            scan.longest = max(scan.longest, open_line + first, inner)
            open_line = len(block) - last - 1
        else:
            open_line += len(block)
        scan.lines += breaks
    _check_encoding(decoder, b"", scan.lines, final=True)
    if open_line:
        scan.lines += 1
        scan.longest = max(scan.longest, open_line)
    return scan


def _longest(block: bytes, limit: int) -> int:
    """An upper bound will do while even all lines together are no longer than the limit."""
    return len(block) if len(block) <= limit else max(map(len, block.split(b"\n")))


def _check_encoding(
    decoder: codecs.IncrementalDecoder, block: bytes, lines: int, *, final: bool = False
) -> None:
    is_within_a_character = bool(decoder.getstate()[0])
    if block.isascii() and not is_within_a_character and b"\0" not in block:
        return
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError as error:
        line = lines + block[: error.start].count(b"\n") + 1
        raise Unfit(f"It is not UTF-8 (line {line}: {error.reason}).") from error
    if b"\0" in block:
        line = lines + block[: block.index(b"\0")].count(b"\n") + 1
        raise Unfit(f"It is not UTF-8 text (line {line} contains zero bytes).")


def _csv_header(contract: Contract, first_line: bytes) -> tuple[str, ...]:
    line = first_line.decode().rstrip("\r")
    try:
        cells = next(csv.reader([line], delimiter=contract.delimiter, strict=True), [])
    except csv.Error as error:
        raise Unfit(f"Its header cannot be read: {error}.") from error
    header = tuple(cell.strip() for cell in cells)
    _check_names(contract, header, "Its header")
    return header


def _check_names(contract: Contract, names: tuple[str, ...], where: str) -> None:
    lacking = contract.lacking(frozenset(names))
    if lacking:
        raise Unfit(f"{where} lacks the required {_listed(lacking)}.")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise Unfit(f"{where} has {_listed(doubled)} twice.")
    unknown = contract.unknown(names)
    if unknown and contract.on_drift == "freeze":
        raise _frozen(unknown)


def _frozen(unknown: tuple[str, ...]) -> Unfit:
    return Unfit(
        f"It brings {_listed(unknown)}, which the contract does not have, and says "
        "`on_drift: freeze`.",
        "Add it to dbt_project/models/raw/{contract}.yml (or loosen `on_drift`), or set the file "
        "aside: {command}",
    )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    word = "column" if len(names) == 1 else "columns"
    return f"{word} {', '.join(names)}"


def _check_objects(
    landing: Landing, contract: Contract, file: LandedFile, first_line: bytes
) -> None:
    """Is a required column absent from every row? The first row nearly always tells."""
    is_frozen = contract.on_drift == "freeze"
    names = _keys(first_line)
    if names and not contract.lacking(frozenset(names)) and not is_frozen:
        return
    seen: dict[str, None] = {}
    with unpacked(landing, file.path) as stream:
        # Not one line may be held whole that is longer than the contract allows.
        while line := stream.readline(contract.max_line_bytes + 1):
            seen.update(dict.fromkeys(_keys(without_mark(line))))
            if seen and not is_frozen and not contract.lacking(frozenset(seen)):
                return
    if not seen:
        # Not one row can be read: they go to quarantine, line by line.
        return
    _check_names(contract, tuple(seen), "Every row")


def _keys(line: bytes) -> tuple[str, ...]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return ()
    return tuple(value) if isinstance(value, dict) else ()


def _parquet(landing: Landing, contract: Contract, file: LandedFile) -> Inspected:
    digest = content_hash(landing, file)
    if file.size == 0:
        return Inspected(file, contract, digest)
    try:
        with landing.open(file.path) as stream:
            parquet = pq.ParquetFile(stream)
            schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise Unfit(f"It is no readable Parquet file: {str(error).splitlines()[0]}") from error
    header = tuple(str(name) for name in schema.names)
    _check_names(contract, header, "Its schema")
    signature = ", ".join(f"{field.name} {field.type}" for field in schema)
    return Inspected(file, contract, digest, int(rows), header=header, schema=signature)
