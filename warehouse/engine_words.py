"""An engine's complaint without the values that it may quote from rows, and where it points."""

from __future__ import annotations

import re
from textwrap import dedent

from warehouse.secrets import redacted

HIDDEN = "***"
LONGEST = 400
LONGEST_LINES = 800
SHORT = 4
"""A line of so few characters is found anywhere."""
# These speak of the query, never of what is in the rows.
ABOUT_THE_QUERY = ("Binder", "Catalog", "Parser", "Syntax", "Compilation", "Database")
# PostgreSQL names no kinds; so it begins when it is about rows (its error classes 22 and 23).
ABOUT_ROWS = re.compile(
    r"invalid input|out of range|overflow|violates|duplicate key|could not create unique|"
    r"invalid byte|not a valid|cannot be cast|DETAIL:|CONTEXT:",
    re.IGNORECASE,
)
_PLACE = re.compile(r"^ *LINE \d+: ", re.MULTILINE)


def engine_message(text: str) -> str:
    """In one line, in which a mark under a place would point at nothing."""
    return " ".join(each for each in engine_lines(text).split() if each.strip("^"))[:LONGEST]


def engine_lines(text: str) -> str:
    """In the engine's own lines where these speak of the query, with the place that it marks.

    A value that does not convert is quoted by the engine; it may be personal.
    """
    said = redacted(text)
    words = " ".join(said.split())
    kinds = re.findall(r"(\w+) (?:Error|Exception):", words)
    is_about_rows = ABOUT_ROWS.search(words) is not None
    if not is_about_rows and all(kind in ABOUT_THE_QUERY for kind in kinds):
        lines = [each.rstrip() for each in said.splitlines() if each.strip()]
        return _cut("\n".join(lines))
    told = re.split(r"LINE |DETAIL:|CONTEXT:", words)[0]
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", HIDDEN, told)[:LONGEST].strip()


def _cut(text: str) -> str:
    """The place that a complaint marks stands at its end; of a long one the middle goes."""
    marked = _PLACE.search(text)
    if len(text) <= LONGEST_LINES or marked is None:
        return text[:LONGEST_LINES]
    place = text[marked.start() :][: LONGEST_LINES // 2]
    before = text[: marked.start()].rstrip()
    room = LONGEST_LINES - len(place) - 1
    return f"{before if len(before) <= room else f'{before[: room - 2]} …'}\n{place}"


def placed(said: str, own: tuple[str, str], compiled: tuple[str, str]) -> str:
    """A complaint that marks a place, with the place in the model's file, where that can be told.

    An engine counts the lines of a whole statement, of which no file is a copy; so the line is
    looked for. What dbt writes before the complaint says no more than this.
    """
    marked = re.search(r"LINE \d+: (.*)", said)
    if marked is None:
        return said
    heading = re.match(r"\w+ Error in .*\n", said)
    rest = dedent(said[heading.end() :] if heading else said)
    places = [_line_of(marked[1].strip(". "), *each) for each in (own, compiled)]
    if places[0]:
        return f"{rest}\nin {places[0]} (compiled: {places[1] or compiled[0]})"
    return f"{rest}\nin {places[1] or compiled[0]}, compiled from {own[0]}"


def _line_of(text: str, file: str, code: str) -> str:
    """By the whole line, else by what stands before the first name that dbt has filled in."""
    lines = code.splitlines()
    for sought in (text, text.partition('"')[0].rstrip()):
        found = [number for number, line in enumerate(lines, 1) if sought in line]
        if len(sought) > SHORT and len(found) == 1:
            return f"{file}:{found[0]}"
    return ""
