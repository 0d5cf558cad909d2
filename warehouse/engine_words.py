"""An engine's complaint without the values that it may quote from rows."""

from __future__ import annotations

import re

HIDDEN = "***"
LONGEST = 400
# These speak of the query, never of what is in the rows.
ABOUT_THE_QUERY = ("Binder", "Catalog", "Parser", "Syntax", "Compilation", "Database")


def engine_message(text: str) -> str:
    """In one line. A value that does not convert is quoted by the engine; it may be personal."""
    words = " ".join(text.split())
    kinds = re.findall(r"(\w+) (?:Error|Exception):", words)
    if not kinds or all(kind in ABOUT_THE_QUERY for kind in kinds):
        return words[:LONGEST]
    told = words.partition("LINE ")[0]
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", HIDDEN, told)[:LONGEST].strip()
