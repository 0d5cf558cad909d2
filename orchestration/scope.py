"""How much a run does: what is due, what it was asked for by name, or everything.

A run of a whole job does what is due. What a person names (a selection, assets materialized in
Dagster's pages, a backfill) is built whether it is due or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import dagster as dg

Scope = Literal["due", "named", "all"]
SCOPES: tuple[Scope, ...] = ("due", "named", "all")
SCOPE = "sluice/scope"
"""A run's tag: what is said here counts; else it follows from what was asked for."""
BACKFILL = "sluice/backfill"
"""A run's tag: the backfill whose step it is, which may build what that backfill holds."""


def scope_of(run: dg.DagsterRun) -> Scope:
    for told in SCOPES:
        if run.tags.get(SCOPE) == told:
            return told
    is_whole = run.asset_selection is None and not run.job_name.startswith("__")
    return "due" if is_whole else "named"


def is_due_only(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> bool:
    return scope_of(context.run) == "due"
