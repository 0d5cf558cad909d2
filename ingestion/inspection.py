"""A look at each received file before anything of its source is loaded."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from ingestion.contracts import Contract
from ingestion.landing import LandedFile, Landing
from ingestion.text_scan import Bytes, Unfit, blocks, scan_text, without_mark

# Ten times as fast as what protects from malice, which is no business of a hash that tells
# whether a batch was delivered twice. Ledgers from before have BLAKE2, without a name.
_XXH3: Final = "xxh3:"


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
    # Names in the first line of JSON that the contract does not have: others will come with them.
    strangers: tuple[str, ...] = ()
    # A CSV's lines end in both ways: DuckDB may give up in the middle, and with it the transaction.
    has_mixed_ends: bool = False

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


def is_made_alike(digest: str, other: str) -> bool:
    return digest.startswith(_XXH3) == other.startswith(_XXH3)


def content_hash(landing: Landing, file: LandedFile, like: str = _XXH3) -> str:
    """What tells this content from another; `like`: made in the same way as this hash was."""
    is_old = not like.startswith(_XXH3)
    digest = hashlib.blake2b(digest_size=32) if is_old else xxhash.xxh3_128()
    with landing.open(file.path) as stream:
        for block in blocks(stream):
            digest.update(block.data)
    return digest.hexdigest() if is_old else f"{_XXH3}{digest.hexdigest()}"


@contextmanager
def unpacked(landing: Landing, path: str) -> Iterator[BinaryIO]:
    """The file's text, whether or not it was landed as .gz."""
    with landing.open(path) as stream:
        if path.endswith(".gz"):
            with gzip.open(stream) as plain:
                yield cast(BinaryIO, plain)
        else:
            yield stream


def _extension(contract: Contract, file: LandedFile) -> None:
    name = file.name.removesuffix(".gz") if contract.format != "parquet" else file.name
    if not name.endswith(f".{contract.format}"):
        raise Unfit(
            f"The contract of {contract.name} expects .{contract.format} files.",
            "Correct `format` in dbt_project/models/raw/{contract}.yml, or set the file aside: "
            "{command}",
        )


def _text(landing: Landing, contract: Contract, file: LandedFile) -> Inspected:
    if file.name.endswith(".gz"):
        digest = content_hash(landing, file)
        with unpacked(landing, file.path) as stream:
            scan = scan_text(blocks(stream), contract.max_line_bytes)
    else:
        hashing = xxhash.xxh3_128()
        with landing.open(file.path) as stream:
            scan = scan_text(_hashed(blocks(stream), hashing), contract.max_line_bytes)
        digest = f"{_XXH3}{hashing.hexdigest()}"
    header: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    if scan.lines and contract.format == "csv":
        if scan.longest > contract.max_line_bytes:
            raise Unfit(_too_long(scan.longest, contract))
        header = _csv_header(contract, scan.first_line)
    elif scan.lines:
        names = _keys(scan.first_line)
        _check_objects(landing, contract, file, names)
        strangers = contract.unknown(names)
    return Inspected(
        file, contract, digest, scan.lines, scan.longest, header,
        strangers=strangers, has_mixed_ends=scan.has_mixed_ends,
    )  # fmt: skip


def _hashed(content: Iterator[Bytes], digest: xxhash.xxh3_128) -> Iterator[Bytes]:
    for block in content:
        digest.update(block.data)
        yield block


def _too_long(size: int, contract: Contract) -> str:
    return (
        f"A line of {size:,} bytes is longer than the {contract.max_line_bytes:,} that the "
        "contract allows (`max_line_bytes`)."
    )


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
    landing: Landing, contract: Contract, file: LandedFile, names: tuple[str, ...]
) -> None:
    """Is a required column absent from every row? The first row nearly always tells."""
    is_frozen = contract.on_drift == "freeze"
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
