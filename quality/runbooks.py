"""Which page says how to mend a closed gate, by the kind of its closing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FOLDER: Final = "docs/runbooks"
ON_CALL: Final = "docs/on_call.md"

RUNBOOKS: Final[Mapping[str, str]] = {
    "check_failed": "check_failed.md",
    "not_evaluated": "check_not_evaluated.md",
    "load_refused": "load_refused_a_file.md",
    "freshness": "freshness.md",
    "dbt_failed": "dbt_test_failed.md",
    "schema": "schema_differs.md",
    "called_too_little": "called_too_little.md",
    "killed": "pending_after_a_kill.md",
}
WITHHELD: Final = "withheld_downstream.md"
"""For what lies below a closed gate: it is not at fault and has no incident of its own."""


def runbook(kind: str) -> str:
    """The page, as a path in the repository; a kind without one leads to the way in."""
    page = RUNBOOKS.get(kind)
    return f"{FOLDER}/{page}" if page else ON_CALL
