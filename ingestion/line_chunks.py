"""Files of lines as rows for DuckDB, in bounded chunks, however large the files.

A chunk is one block of memory into which files are read one after the other. DuckDB reads the
lines where they lie: nothing is copied, and its threads share them.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.inspection import Numbered, unpacked
from ingestion.landing import Landing
from ingestion.text_scan import (
    BLOCK,
    BOM,
    LINE_END,
    Bytes,
    line_ends,
    read_into,
    without_mark,
)
from ingestion.validation import TOO_LONG
from warehouse.errors import SluiceError

# Half as much costs a quarter more CPU and twice the disk, for DuckDB writes parts of row groups
# (122,880 rows) twice; twice as much costs a fifth more memory and saves nothing. A little more
# than half of what a transaction holds, so that its last bytes are no chunk of their own.
_CHUNK_BYTES: Final = 132 * 1024 * 1024
# Of a line that is too long, so much goes to quarantine; landing has the whole.
_HEAD_BYTES: Final = 500
# Rows of a batch are one unit of DuckDB's parallelism.
_BATCH_ROWS: Final = 16 * 1024


@dataclass(frozen=True)
class Stretch:
    """Some whole lines of a file; they end where the next stretch of their chunk begins."""

    batch_id: int
    path: str
    first_row: int
    end: int
    structure: int = 0


@dataclass
class Chunk:
    """Lines that are read at once."""

    memory: Bytes
    used: int = 0
    stretches: list[Stretch] = field(default_factory=list)

    def read(self, stream: BinaryIO) -> int:
        """As much as is there and fits into a block; nothing only at the end."""
        count = read_into(stream, self.memory[self.used : self.used + BLOCK])
        self.used += count
        return count

    def append(self, content: bytes) -> None:
        self.memory[self.used : self.used + len(content)] = np.frombuffer(content, np.uint8)
        self.used += len(content)

    def clear(self) -> None:
        self.used, self.stretches = 0, []

    def close(self, file: Numbered, first_row: int, end: int, structure: int = 0) -> None:
        """What was appended since the last stretch is one of its own, as far as `end`."""
        self.stretches.append(Stretch(file.batch_id, file.path, first_row, end, structure))


def chunks(landing: Landing, contract: Contract, files: Sequence[Numbered]) -> Iterator[Chunk]:
    """Each is read before the next one is asked for, which takes its memory."""
    # As much is taken from the machine as is written to. Not NumPy's own way to take it: that asks
    # for huge pages, which a virtual machine gives slowly.
    size = _CHUNK_BYTES + contract.max_line_bytes + 2 * BLOCK
    chunk = Chunk(np.frombuffer(mmap.mmap(-1, size), np.uint8))
    for file in files:
        if file.inspected.is_empty:
            continue
        if chunk.used >= _CHUNK_BYTES:
            yield chunk
            chunk.clear()
        fill = _line_by_line if file.inspected.has_long_lines else _block_by_block
        with unpacked(landing, file.path) as stream:
            yield from fill(chunk, stream, file)
    if chunk.stretches:
        yield chunk


Received = tuple[int, str, int, str]
"""A line that was received before: its batch, file, row number and text."""


def chunks_of(lines: Sequence[Received]) -> Iterator[Chunk]:
    start, size = 0, 0
    for end, (_, _, _, text) in enumerate(lines, start=1):
        size += len(text)
        if size >= _CHUNK_BYTES or end == len(lines):
            yield _chunk_of(lines[start:end])
            start, size = end, 0


def _chunk_of(lines: Sequence[Received]) -> Chunk:
    contents = [text.encode().removesuffix(b"\n") + b"\n" for _, _, _, text in lines]
    ends = np.cumsum([len(content) for content in contents]).tolist()
    return Chunk(
        np.frombuffer(b"".join(contents), np.uint8),
        ends[-1],
        [
            Stretch(batch_id, path, row, end)
            for (batch_id, path, row, _), end in zip(lines, ends, strict=True)
        ],
    )


def _block_by_block(chunk: Chunk, stream: BinaryIO, file: Numbered) -> Iterator[Chunk]:
    """Gives the chunk whenever it is full; what comes after is in it."""
    row, start = 1, chunk.used
    chunk.append(without_mark(stream.read(len(BOM))))
    while chunk.read(stream):
        if chunk.used == len(chunk.memory):
            raise SluiceError(
                f"{file.path} changed while it was loaded: its lines are longer than they were.",
                remedy="A landed file never changes. Have what is new sent under a new name.",
            )
        if chunk.used < _CHUNK_BYTES:
            continue
        ends = line_ends(chunk.memory[start : chunk.used])
        if len(ends):
            end = start + int(ends[-1]) + 1
            rest = chunk.memory[end : chunk.used].tobytes()
            chunk.close(file, row, end)
            row += len(ends)
            yield chunk
            chunk.clear()
            chunk.append(rest)
            start = 0
    if chunk.used > start:
        if chunk.memory[chunk.used - 1] != LINE_END:
            chunk.append(b"\n")
        chunk.close(file, row, chunk.used)


def _line_by_line(chunk: Chunk, stream: BinaryIO, file: Numbered) -> Iterator[Chunk]:
    """For files with a line that must not be held whole."""
    limit, row = file.inspected.contract.max_line_bytes, 1
    while line := stream.readline(limit + 1):
        structure = 0
        if len(line) > limit and not line.endswith(b"\n"):
            while more := stream.readline(BLOCK):
                if more.endswith(b"\n"):
                    break
            structure, line = TOO_LONG, line[:_HEAD_BYTES].decode(errors="ignore").encode()
        if chunk.used >= _CHUNK_BYTES:
            yield chunk
            chunk.clear()
        content = without_mark(line) if row == 1 else line
        chunk.append(content if content.endswith(b"\n") else content + b"\n")
        chunk.close(file, row, chunk.used, structure)
        row += 1


def lines_table(chunk: Chunk) -> tuple[pa.Table, dict[int, int]]:
    """A row for each line, and how many of them are of which batch."""
    ends = np.concatenate(
        [
            start + line_ends(chunk.memory[start : min(start + BLOCK, chunk.used)])
            for start in range(0, chunk.used, BLOCK)
        ]
    )
    stretches = chunk.stretches
    through = np.searchsorted(ends, [stretch.end for stretch in stretches])
    counts = np.diff(through, prepend=0)
    # Row numbers go on by one, and begin anew with each stretch.
    first_rows = np.array([stretch.first_row for stretch in stretches])
    row_numbers = np.arange(len(ends)) + np.repeat(first_rows - (through - counts), counts)
    files = {path: n for n, path in enumerate(dict.fromkeys(each.path for each in stretches))}
    file_numbers = np.array([files[stretch.path] for stretch in stretches], np.int32)
    structures = np.array([stretch.structure for stretch in stretches], np.int32)
    batch_ids = np.array([stretch.batch_id for stretch in stretches], np.int64)
    # A contract may allow lines for which 32 bits are too few.
    is_large = chunk.used > np.iinfo(np.int32).max
    offsets = np.zeros(len(ends) + 1, np.int64 if is_large else np.int32)
    np.add(ends, 1, out=offsets[1:], casting="same_kind")
    lines = pa.record_batch(
        {
            "batch_id": pa.array(np.repeat(batch_ids, counts)),
            "file": pa.DictionaryArray.from_arrays(
                np.repeat(file_numbers, counts), pa.array(list(files), pa.string())
            ),
            "row_number": pa.array(row_numbers),
            "structure": pa.array(np.repeat(structures, counts)),
            # As texts without a second look: the inspection has checked that they are UTF-8.
            "line": pa.Array.from_buffers(
                pa.large_string() if is_large else pa.string(),
                len(ends),
                [None, pa.py_buffer(offsets), pa.py_buffer(chunk.memory)],
            ),
        }
    )
    batches = [lines.slice(start, _BATCH_ROWS) for start in range(0, len(ends), _BATCH_ROWS)]
    row_counts: dict[int, int] = {}
    for stretch, count in zip(stretches, counts.tolist(), strict=True):
        row_counts[stretch.batch_id] = row_counts.get(stretch.batch_id, 0) + count
    return pa.Table.from_batches(batches), row_counts
