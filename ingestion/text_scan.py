"""One pass over a text file: how many lines, how long, and whether it is text at all."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np

BLOCK: Final = 4 * 1024 * 1024
BOM: Final = codecs.BOM_UTF8
LINE_END: Final = ord("\n")
_CARRIAGE_RETURN: Final = ord("\r")
_LAST_OF_ASCII: Final = 127
# What is looked at several times stays in the processor's own memory meanwhile.
_LOOK: Final = 256 * 1024
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


def blocks(stream: BinaryIO) -> Iterator[Bytes]:
    """All that is there, one block after the other in the same memory."""
    memory = np.empty(_LOOK, np.uint8)
    while count := read_into(stream, memory):
        yield memory[:count]


def read_into(stream: BinaryIO, memory: Bytes) -> int:
    """As much as is there and fits; nothing only at the end."""
    if hasattr(stream, "readinto"):
        return int(stream.readinto(memory.data))
    content = stream.read(len(memory))
    memory[: len(content)] = np.frombuffer(content, np.uint8)
    return len(content)


def line_ends(block: Bytes) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Where the lines end."""
    return np.flatnonzero(block == LINE_END)


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


def scan_text(content: Iterable[Bytes], limit: int) -> Scan:
    """Count lines and check the encoding, however long the lines are.

    Of the first line, no more is kept than a line may have.
    """
    scan, decoder, open_line, last = Scan(), codecs.getincrementaldecoder("utf-8")(), 0, 0
    for block in content:
        _check_encoding(decoder, block, scan.breaks)
        ends = line_ends(block)
        if not scan.breaks and open_line <= limit:
            scan.first_line += block[: ends[0] if len(ends) else len(block)].tobytes()
        if len(ends):
            inner = int(np.diff(ends).max(initial=1)) - 1
            scan.longest = max(scan.longest, open_line + int(ends[0]), inner)
            open_line = -1 - int(ends[-1])
            is_after_return = block[ends - 1] == _CARRIAGE_RETURN
            if ends[0] == 0:
                is_after_return[0] = last == _CARRIAGE_RETURN
            scan.carriage_returns += int(np.count_nonzero(is_after_return))
        open_line += len(block)
        scan.breaks += len(ends)
        last = int(block[-1])
    _check_encoding(decoder, np.empty(0, np.uint8), scan.breaks, final=True)
    scan.first_line = without_mark(scan.first_line)
    scan.lines = scan.breaks + (open_line > 0)
    scan.longest = max(scan.longest, open_line)
    return scan


def _check_encoding(
    decoder: codecs.IncrementalDecoder, block: Bytes, lines: int, *, final: bool = False
) -> None:
    is_within_a_character = bool(decoder.getstate()[0])
    has_zero = bool(len(block)) and int(block.min()) == 0
    if not is_within_a_character and not has_zero and block.max(initial=0) <= _LAST_OF_ASCII:
        return
    content = block.tobytes()
    try:
        decoder.decode(content, final)
    except UnicodeDecodeError as error:
        line = lines + content[: error.start].count(b"\n") + 1
        raise Unfit(f"It is not UTF-8 (line {line}: {error.reason}).") from error
    if has_zero:
        line = lines + content[: content.index(b"\0")].count(b"\n") + 1
        raise Unfit(f"It is not UTF-8 text (line {line} contains zero bytes).")
