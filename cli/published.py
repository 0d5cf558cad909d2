"""`sluice published`: the snapshots that consumers read."""

from __future__ import annotations

import click

from cli.output import json_option, say, say_json, say_table
from warehouse.errors import PublishError
from warehouse.settings import settings


@click.group()
def published() -> None:
    """List the published snapshots, look into one, or switch back to one."""


@published.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The snapshots that are kept, newest first; * marks the one that consumers see."""
    from warehouse import snapshots

    kept = snapshots.kept(settings())
    if as_json:
        say_json(
            [
                {
                    "snapshot_id": each.snapshot_id,
                    "published_at": each.published_at,
                    "as_of": each.as_of,
                    "is_current": each.is_current,
                    "table_count": len(each.tables),
                    "stale_count": len(each.stale),
                    "size_bytes": each.size_bytes,
                }
                for each in kept
            ]
        )
        return
    if not kept:
        say("Nothing is published yet: `sluice run` makes the first snapshot.")
        return
    say_table(
        ["", "snapshot", "published at", "as of", "tables", "stale", "MB"],
        [
            (
                "*" if each.is_current else "",
                each.snapshot_id,
                each.published_at,
                each.as_of,
                len(each.tables),
                len(each.stale),
                f"{each.size_bytes / 1e6:.1f}",
            )
            for each in kept
        ],
        numbers=["tables", "stale", "MB"],
    )


@published.command()
@click.argument("snapshot", required=False)
@json_option
def show(snapshot: str | None, as_json: bool) -> None:
    """The tables of a SNAPSHOT (default: the current one), and the state each of them shows."""
    from warehouse import snapshots

    found = snapshots.show(settings(), snapshot) if snapshot else snapshots.current(settings())
    if found is None:
        raise PublishError("Nothing is published yet.", remedy="`sluice run` publishes.")
    if as_json:
        say_json([vars(each) for each in found.tables])
        return
    say(f"Snapshot {found.snapshot_id}, published {found.published_at:%Y-%m-%d %H:%M:%S} UTC")
    say_table(
        ["table", "rows", "state", "as it was at", "because"],
        [
            (
                each.name,
                "" if each.row_count is None else f"{each.row_count:,}",
                each.state,
                each.shows_since,
                each.reason,
            )
            for each in found.tables
        ],
        numbers=["rows"],
    )


@published.command()
@click.argument("before")
@click.argument("after", required=False)
@json_option
def diff(before: str, after: str | None, as_json: bool) -> None:
    """What changed in the tables from snapshot BEFORE to AFTER (default: the current one)."""
    from warehouse import snapshots

    newer = after or snapshots.current_id(settings())
    if newer is None:
        raise PublishError("Nothing is published yet.", remedy="`sluice run` publishes.")
    found = snapshots.differences(settings(), before, newer)
    if as_json:
        say_json([vars(each) for each in found])
        return
    say_table(
        ["table", "rows before", "rows after", "columns", "content"],
        [
            (
                each.name,
                each.rows_before,
                each.rows_after,
                " ".join(
                    [*(f"+{one}" for one in each.columns_added)]
                    + [f"-{one}" for one in each.columns_removed]
                ),
                "same" if each.same_content else "changed",
            )
            for each in found
        ],
        numbers=["rows before", "rows after"],
    )


@published.command()
@click.argument("snapshot")
def rollback(snapshot: str) -> None:
    """Switch consumers to an earlier SNAPSHOT, in one atomic step; the next publish goes on."""
    from warehouse import snapshots
    from warehouse.workshop import writing

    with writing(settings(), "sluice published rollback", waiting=say):
        found = snapshots.roll_back(settings(), snapshot)
    say(
        f"✓ Consumers see snapshot {found.snapshot_id} of "
        f"{found.published_at:%Y-%m-%d %H:%M:%S} UTC."
    )
