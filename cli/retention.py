"""`sluice retention`: what goes by policy, what stays although it is old, and why."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from cli.output import by_option, json_option, say, say_json, say_table
from warehouse.errors import SettingsError
from warehouse.settings import settings

if TYPE_CHECKING:
    from ingestion.retention.planning import Item, Plan

SHOWN = 20


@click.group()
def retention() -> None:
    """Let landed files and raw rows go by the sources' policy."""


@retention.command()
@json_option
def plan(as_json: bool) -> None:
    """Show what `apply` would let go; change nothing.

    File by file, and what stays although it is old, and why.
    """
    found = _planned()
    if as_json:
        say_json({name: [vars(each) for each in items] for name, items in vars(found).items()})
        return
    _print_going(found.going)
    _print_staying(found.staying)


@retention.command()
@json_option
def apply(as_json: bool) -> None:
    """Let it go: rows leave raw, files leave landing.

    The ledger keeps its line of each.

    Every run that publishes does the same. One that was interrupted is carried on.
    """
    from catalog.catalog import load_catalog
    from ingestion.retention.removal import let_go
    from orchestration import retaining
    from warehouse.workshop import connect, writing

    with (
        writing(settings(), "sluice retention apply", waiting=say),
        closing(connect(settings())) as connection,
    ):
        found = retaining.plan(settings(), load_catalog(settings()), connection)
        removed = let_go(settings(), connection, found)
    if as_json:
        say_json([vars(each) for each in removed])
        return
    for each in removed:
        say(f"✓ {each}")
    _print_staying(found.staying)
    if not removed:
        say("✓ Nothing is to go.")


@retention.command()
@click.argument("model")
@click.option("--because", required=True, help="Why the loss is right.")
@by_option
def accept(model: str, because: str, by: str) -> None:
    """Take the loss of rows that only MODEL still has.

    It may be built whole without them then.
    """
    from catalog.catalog import load_catalog
    from ingestion.retention.removal import LOG_KIND, forget_seal
    from warehouse import platform_log
    from warehouse.workshop import connect, writing

    dataset = load_catalog(settings()).find(model)
    with (
        writing(settings(), "sluice retention accept", waiting=say),
        closing(connect(settings())) as connection,
    ):
        days = forget_seal(connection, dataset.name)
    if not days:
        raise SettingsError(
            f"{dataset.name} has no days that raw cannot give it again.",
            remedy="It can be built whole as it is.",
        )
    events = [
        {
            "outcome": "loss_accepted",
            "source": entity.partition(".")[0],
            "entity": entity.partition(".")[2],
            "reason": f"{by} lets {dataset.key} lose {count:,} days: {because}",
        }
        for entity, count in days.items()
    ]
    platform_log.append(settings(), LOG_KIND, events)
    lost = max(days.values())
    say(f"✓ {dataset.name} may be built whole; {lost:,} days of it will be gone then.")


def _planned() -> Plan:
    from catalog.catalog import load_catalog
    from ingestion.retention.planning import Plan
    from orchestration import retaining
    from warehouse.workshop import connect, is_begun, writing

    if not is_begun(settings()):
        return Plan((), ())
    with (
        writing(settings(), "sluice retention plan", waiting=say),
        closing(connect(settings())) as connection,
    ):
        return retaining.plan(settings(), load_catalog(settings()), connection)


def _print_going(items: tuple[Item, ...]) -> None:
    if not items:
        say("Nothing is to go.")
        return
    rows = sum(each.rows for each in items if each.part == "raw")
    size = sum(each.size for each in items)
    say(f"To go: {len(items):,} files, {size / 1e6:,.1f} MB of landing, {rows:,} rows of raw")
    say_table(
        ["from", "received", "batch", "rows", "MB", "file"],
        [
            (
                each.part,
                each.received_on,
                " ".join(map(str, each.batches)),
                f"{each.rows:,}",
                f"{each.size / 1e6:.2f}" if each.part == "landing" else "",
                each.file,
            )
            for each in items[:SHOWN]
        ],
        numbers=["rows", "MB"],
    )
    if len(items) > SHOWN:
        say(f"… and {len(items) - SHOWN:,} more: --json lists them all.")


def _print_staying(items: tuple[Item, ...]) -> None:
    if not items:
        return
    groups: dict[tuple[str, str, str], list[Item]] = {}
    for each in items:
        groups.setdefault((each.part, each.dataset, each.because), []).append(each)
    say("Old enough, and stays:")
    say_table(
        ["in", "entity", "files", "rows", "for example", "because"],
        [
            (part, dataset, len(mine), f"{sum(e.rows for e in mine):,}", mine[0].file, because)
            for (part, dataset, because), mine in groups.items()
        ],
        numbers=["files", "rows"],
    )
