"""The elements of a JSON array as they were sent: their own text, not a parsed and printed copy.

A number keeps all its digits, a string its escapes; only line breaks between values become spaces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO, Final, TextIO

_WHITE: Final = " \t\r\n"
_DECODE: Final = json.JSONDecoder().raw_decode
_BLOCK: Final = 1 << 20


class NotAnArrayError(ValueError):
    """Where a list was promised there is something else."""


def one_line(text: str) -> str:
    """Line breaks stand only between values: a string holds them escaped."""
    return text.replace("\r", " ").replace("\n", " ") if "\n" in text or "\r" in text else text


def elements_at(text: str, path: str) -> Iterator[str]:
    """The elements of the array at this place (a.b.c; nothing: the whole) of a document."""
    yield from _elements(text, _place(text, _skip(text, 0), path.split(".") if path else []))


def elements_of(stream: TextIO, limit: int) -> Iterator[str]:
    """The elements of a document that is one array, however long; of none longer than `limit`."""
    text, at, is_over = stream.read(_BLOCK), 0, False
    at = _skip(text, at)
    if text[at : at + 1] != "[":
        raise NotAnArrayError("It is no JSON array.")
    at += 1
    is_first = True
    while True:
        if len(text) - at < _BLOCK and not is_over:
            more = stream.read(_BLOCK)
            text, at, is_over = text[at:] + more, 0, not more
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            if text[_skip(text, at + 1) :] or stream.read().strip():
                raise NotAnArrayError("Something follows the array.")
            return
        if not is_first:
            if text[at : at + 1] != ",":
                raise NotAnArrayError("It ends in the middle of the array." if is_over and
                                      at >= len(text) else "The array is broken.")  # fmt: skip
            at = _skip(text, at + 1)
        while True:
            try:
                _, end = _DECODE(text, at)
                # A number at the end of what was read may go on.
                if end < len(text) or is_over:
                    break
            except json.JSONDecodeError as error:
                if is_over:
                    raise NotAnArrayError(f"It is no valid JSON: {error.msg}.") from error
            if len(text) - at > limit:
                raise NotAnArrayError(f"An element is longer than {limit:,} characters.")
            more = stream.read(max(_BLOCK, len(text) - at))
            text, at, is_over = text[at:] + more, 0, not more
        yield one_line(text[at:end])
        at, is_first = end, False


def _elements(text: str, at: int) -> Iterator[str]:
    if text[at : at + 1] != "[":
        raise NotAnArrayError("There is no list at this place.")
    at = _skip(text, at + 1)
    while text[at] != "]":
        _, end = _DECODE(text, at)
        yield one_line(text[at:end])
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _place(text: str, at: int, names: list[str]) -> int:
    """Where the value of that name begins."""
    if not names:
        return at
    if text[at : at + 1] != "{":
        raise NotAnArrayError(f"There is no object that could hold {names[0]!r}.")
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = _DECODE(text, at)
        at = _skip(text, at)
        at = _skip(text, at + 1)
        if name == names[0]:
            return _place(text, at, names[1:])
        _, at = _DECODE(text, at)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    raise NotAnArrayError(f"It has no {names[0]!r}.")


def _skip(text: str, at: int) -> int:
    size = len(text)
    while at < size and text[at] in _WHITE:
        at += 1
    return at


def write_lines(elements: Iterator[str], stream: BinaryIO) -> int:
    count = 0
    for element in elements:
        stream.write(element.encode())
        stream.write(b"\n")
        count += 1
    return count
