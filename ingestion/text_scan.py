"""One pass over a text file: how many lines, how long, and whether it is text at all."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np

BLOCK: Final = 4 * 1024 * 1024
BOM: Final = codecs.BOM_UTF8
LINE_END: Final = ord("\n")
_MEND: Final = (
    "Have the source send it again, right, under a new name; then set this file aside: {command}"
)


Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]


class Unfit(Exception):
    """Why a file is refused."""

    def __init__(self, reason: str, remedy: str = _MEND) -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(reason)


def without_mark(content: bytes) -> bytes:
    """Windows programs start a UTF-8 file with a byte order mark."""
    return content.removeprefix(BOM)


@dataclass
class Scan:
    """What one pass over a text file finds out."""

    lines: int = 0
    longest: int = 0
    # How many of the lines end as Windows ends them.
    carriage_returns: int = 0
    first_line: bytes = b""
    # The last line may have no end.
    breaks: int = 0

    @property
    def has_mixed_ends(self) -> bool:
        return 0 < self.carriage_returns < self.breaks


def scan_text(stream: BinaryIO, limit: int) -> Scan:
    """Count lines and check the encoding, in blocks, however long the lines are."""
    scan, decoder, open_line = Scan(), codecs.getincrementaldecoder("utf-8")(), 0
    is_first, ends_open = True, False
    while block := stream.read(BLOCK):
        _check_encoding(decoder, block, scan.lines)
        if is_first:
            end = block.find(b"\n")
            scan.first_line = without_mark(block if end < 0 else block[:end])
            is_first = False
        breaks = count_lines(block)
        if breaks:
            first, last = block.find(b"\n"), block.rfind(b"\n")
            inner = _longest(block, first + 1, last, limit)
            scan.longest = max(scan.longest, open_line + first, inner)
            open_line = len(block) - last - 1
        else:
            open_line += len(block)
        scan.lines += breaks
        scan.breaks += breaks
        # To look for one byte is fast, to count two is slow; most files have none of them.
        if b"\r" in block:
            scan.carriage_returns += block.count(b"\r\n")
        scan.carriage_returns += ends_open and block.startswith(b"\n")
        ends_open = block.endswith(b"\r")
    _check_encoding(decoder, b"", scan.lines, final=True)
    if open_line:
        scan.lines += 1
        scan.longest = max(scan.longest, open_line)
    return scan


def count_lines(block: bytes) -> int:
    """How many line ends; several times as fast as `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == LINE_END))


def line_ends(block: Bytes) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Where the lines end."""
    return np.flatnonzero(block == LINE_END)


def _longest(block: bytes, start: int, end: int, limit: int) -> int:
    """An upper bound will do while even all lines together are no longer than the limit."""
    size = max(end - start, 0)
    return size if size <= limit else max(map(len, block[start:end].split(b"\n")))


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
