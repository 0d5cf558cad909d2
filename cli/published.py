"""`sluice published`: the snapshots that consumers read."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from cli.output import by_option, json_option, say, say_json, say_table
from warehouse.errors import PublishError
from warehouse.settings import settings


@click.group()
def published() -> None:
    """Snapshots: list, look into, switch back to, or keep one."""


@published.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The snapshots that are kept, newest first.

    * marks the one that consumers see.
    """
    from warehouse import retention, snapshots
    from warehouse.clock import wall_clock

    kept = snapshots.kept(settings())
    stay = retention.kept_because(settings(), wall_clock())
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
                    "kept_because": stay.get(each.snapshot_id),
                }
                for each in kept
            ]
        )
        return
    if not kept:
        say("Nothing is published yet: `sluice run` makes the first snapshot.")
        return
    say_table(
        ["", "snapshot", "published at", "as of", "tables", "stale", "MB", "kept because"],
        [
            (
                "*" if each.is_current else "",
                each.snapshot_id,
                each.published_at,
                each.as_of,
                len(each.tables),
                len(each.stale),
                f"{each.size_bytes / 1e6:.1f}",
                stay.get(each.snapshot_id, "(until the next publish)"),
            )
            for each in kept
        ],
        numbers=["tables", "stale", "MB"],
    )


@published.command()
@click.argument("snapshot", required=False)
@json_option
def show(snapshot: str | None, as_json: bool) -> None:
    """The tables of a SNAPSHOT, and which state each shows.

    Without one, of the current snapshot.
    """
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
    """What changed from snapshot BEFORE to AFTER.

    AFTER is the current one, unless it is said.
    """
    from warehouse import snapshots
    from warehouse.differences import differences

    newer = after or snapshots.current_id(settings())
    if newer is None:
        raise PublishError("Nothing is published yet.", remedy="`sluice run` publishes.")
    found = differences(settings(), before, newer)
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
    """Switch consumers to an earlier SNAPSHOT.

    It is one atomic step; the next publish goes forward again.
    """
    from warehouse.switching import roll_back
    from warehouse.workshop import writing

    with writing(settings(), "sluice published rollback", waiting=say):
        found = roll_back(settings(), snapshot)
    say(
        f"✓ Consumers see snapshot {found.snapshot_id} of "
        f"{found.published_at:%Y-%m-%d %H:%M:%S} UTC."
    )


@published.command()
@click.argument("snapshot")
@click.option("--because", required=True, help="Why it is to stay.")
@by_option
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="Hold until then (UTC); without it until `unpin`.",
)
def pin(snapshot: str, because: str, by: str, until: datetime | None) -> None:
    """Keep a SNAPSHOT from being let go by later publishes."""
    from warehouse import retention

    made = retention.pin(
        settings(),
        snapshot,
        because,
        by,
        until.replace(tzinfo=UTC) if until else None,
    )
    say(f"✓ Snapshot {made.snapshot_id} is {made}.")


@published.command()
@click.argument("snapshot")
def unpin(snapshot: str) -> None:
    """Take the pin off a SNAPSHOT.

    The next publish decides whether it stays.
    """
    from warehouse import retention

    found = retention.unpin(settings(), snapshot)
    say(f"✓ Snapshot {found.snapshot_id} is not pinned any more (it was {found}).")
