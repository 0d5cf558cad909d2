"""Rows laid out as text: aligned, no blanks at a line's end, and within a terminal's width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from rich.cells import cell_len

GAP = 2
INDENT = 4
NARROW = 40
"""In less room than this a sentence is no pleasure to read: it stands below its row instead."""


def laid_out(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None = None,
    right: Iterable[str] = (),
) -> Iterator[str]:
    """The heading, then the rows; of a terminal's width, only the last column gives way.

    It is the sentence that explains, and it keeps its own lines.
    """
    to_the_right = [each in set(right) for each in headings]
    table = [headings, *([*map(_on_one_line, row[:-1]), row[-1]] for row in rows)]
    widths = [max(cell_len(row[n]) for row in table) for n in range(len(headings))]
    before = sum(widths[:-1]) + GAP * (len(widths) - 1)
    room = None if width is None else width - before
    is_below = (
        room is not None
        and room < NARROW
        and any(row[-1] and cell_len(row[-1]) > room for row in table[1:])
    )
    for number, row in enumerate(table):
        first = "".join(
            _padded(cell, size, is_right) + " " * GAP
            for cell, size, is_right in zip(row[:-1], widths, to_the_right, strict=False)
        )
        last = _padded(row[-1], widths[-1], True) if to_the_right[-1] else row[-1]
        if is_below and width is not None:
            yield first.rstrip()
            yield from indented(last, width)
            continue
        head, *more = _lines(last, room if number else None) or [""]
        yield (first + head).rstrip()
        yield from (" " * before + each for each in more)


def indented(text: str, width: int | None) -> Iterator[str]:
    """A text below the line that it belongs to."""
    room = None if width is None else width - INDENT
    yield from (" " * INDENT + each for each in _lines(text, room))


def _lines(text: str, width: int | None) -> list[str]:
    """Its own lines, each as often broken as it must; what is indented stays as it is."""
    found: list[str] = []
    for line in text.splitlines():
        fits = width is None or cell_len(line) <= width
        if fits or line.startswith(" "):
            found.append(line.rstrip())
        else:
            # A path stays whole, though it stick out.
            room = max(width or 0, 8)
            found += wrap(line, room, break_long_words=False, break_on_hyphens=False)
    return found


def _on_one_line(text: str) -> str:
    return " ".join(text.splitlines()) if "\n" in text else text


def _padded(text: str, size: int, is_right: bool) -> str:
    blanks = " " * (size - cell_len(text))
    return blanks + text if is_right else text + blanks
