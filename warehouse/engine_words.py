"""An engine's complaint without the values that it may quote from rows."""

from __future__ import annotations

import re

from warehouse.secrets import redacted

HIDDEN = "***"
LONGEST = 400
# These speak of the query, never of what is in the rows.
ABOUT_THE_QUERY = ("Binder", "Catalog", "Parser", "Syntax", "Compilation", "Database")
# PostgreSQL names no kinds; so it begins when it is about rows (its error classes 22 and 23).
ABOUT_ROWS = re.compile(
    r"invalid input|out of range|overflow|violates|duplicate key|could not create unique|"
    r"invalid byte|not a valid|cannot be cast|DETAIL:|CONTEXT:",
    re.IGNORECASE,
)


def engine_message(text: str) -> str:
    """In one line. A value that does not convert is quoted by the engine; it may be personal."""
    words = " ".join(redacted(text).split())
    kinds = re.findall(r"(\w+) (?:Error|Exception):", words)
    is_about_rows = ABOUT_ROWS.search(words) is not None
    if not is_about_rows and all(kind in ABOUT_THE_QUERY for kind in kinds):
        return words[:LONGEST]
    told = re.split(r"LINE |DETAIL:|CONTEXT:", words)[0]
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", HIDDEN, told)[:LONGEST].strip()
