"""`sluice published`: the snapshots that consumers read."""

from __future__ import annotations

import click

from cli.output import json_option, say, say_json, say_table
from warehouse.settings import settings


@click.group()
def published() -> None:
    """List the published snapshots, look into one, or switch back to one."""


@published.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The snapshots that are kept, newest first; * marks the one that consumers see."""
    from warehouse import snapshots

    current = snapshots.current(settings())
    kept = snapshots.list_snapshots(settings())
    if as_json:
        say_json(
            [
                {
                    "id": each.id,
                    "published_at": each.published_at,
                    "is_current": current is not None and each.id == current.id,
                    "tables": len(each.tables),
                    "stale": sum(table.state != "fresh" for table in each.tables),
                }
                for each in kept
            ]
        )
        return
    if not kept:
        say("Nothing is published yet: `sluice run` makes the first snapshot.")
        return
    say_table(
        ["", "snapshot", "published at", "tables", "stale"],
        [
            (
                "*" if current is not None and each.id == current.id else "",
                each.id,
                each.published_at,
                len(each.tables),
                sum(table.state != "fresh" for table in each.tables),
            )
            for each in kept
        ],
        numbers=["tables", "stale"],
    )


@published.command()
@click.argument("snapshot", required=False)
@json_option
def show(snapshot: str | None, as_json: bool) -> None:
    """The tables of a SNAPSHOT (default: the current one), and the state each of them shows."""
    from warehouse import snapshots

    found = snapshots.find(settings(), snapshot)
    if as_json:
        say_json([vars(each) for each in found.tables])
        return
    say(f"Snapshot {found.id}, published {found.published_at:%Y-%m-%d %H:%M:%S} UTC")
    say_table(
        ["table", "rows", "state", "since", "because"],
        [
            (each.name, f"{each.row_count or 0:,}", each.state, each.since, each.reason)
            for each in found.tables
        ],
        numbers=["rows"],
    )


@published.command()
@click.argument("snapshot")
def rollback(snapshot: str) -> None:
    """Switch consumers to an earlier SNAPSHOT, in one atomic step; the next publish goes on."""
    from warehouse import snapshots
    from warehouse.workshop import writing

    with writing(settings(), "sluice published rollback", waiting=say):
        found = snapshots.rollback(settings(), snapshot)
    say(f"✓ Consumers see snapshot {found.id} of {found.published_at:%Y-%m-%d %H:%M:%S} UTC.")
