"""`sluice metrics`: governed numbers over the published snapshot."""

from __future__ import annotations

from datetime import datetime

import click

from cli.output import (
    as_of_option,
    json_option,
    records,
    say,
    say_json,
    say_table,
)
from warehouse.errors import SettingsError
from warehouse.settings import settings
from warehouse.words import counted, did_you_mean


@click.group()
def metrics() -> None:
    """List the metrics, or ask one over time and by dimension."""


@metrics.command("list")
@click.argument("words", nargs=-1)
@click.option("--owner", help="Only those that they answer for.")
@json_option
def list_(words: tuple[str, ...], owner: str | None, as_json: bool) -> None:
    """The metrics, or those that hold all WORDS.

    Words are looked for in a metric's name, label and description.
    """
    from serving import metrics as engine

    known = engine.list_metrics(settings())
    owners = {each.owner for each in known}
    if owner is not None and owner not in owners:
        raise SettingsError(
            f"No metric is {owner}'s.{did_you_mean(owner, owners)}",
            remedy=f"Owners are {', '.join(sorted(owners))}.",
        )
    found = [
        each
        for each in known
        if owner in (None, each.owner)
        and all(
            word.lower() in f"{each.name} {each.label} {each.description}".lower() for word in words
        )
    ]
    if as_json:
        say_json([vars(each) for each in found])
        return
    if not found:
        say(f"None of {counted(len(known), 'metric')} is about that: `sluice metrics list`.")
        return
    say_table(
        ["metric", "unit", "owner", "grains", "what it is"],
        [
            (each.name, each.unit, each.owner, ", ".join(each.grains), each.description)
            for each in found
        ],
    )
    say()
    by = " ".join(f"--by {each}" for each in (found[0].grains[0], *found[0].requires))
    say(f"Ask one:  sluice metrics query {found[0].name} {by}")


@metrics.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--by", "group_by", multiple=True, help="A grain (month) or a dimension; repeatable.")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="country=DE, plan in team,business, started_on >= 2026-01-01; repeatable.",
)
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), help="From this day.")
@click.option("--end", type=click.DateTime(["%Y-%m-%d"]), help="Until this day, inclusive.")
@click.option("--order", multiple=True, help="A column, or -column for descending; repeatable.")
@click.option("--limit", type=int, default=100, show_default=True)
@as_of_option
@json_option
def query(
    names: tuple[str, ...],
    group_by: tuple[str, ...],
    conditions: tuple[str, ...],
    start: datetime | None,
    end: datetime | None,
    order: tuple[str, ...],
    limit: int,
    as_of: str | None,
    as_json: bool,
) -> None:
    """Ask metrics, by time and dimension.

    Filters are structured: no SQL is taken.
    """
    from serving import metrics as engine
    from serving.conditions import Condition
    from serving.published import snapshot_as_of

    where = [Condition.parse(each) for each in conditions]
    as_of_snapshot = snapshot_as_of(settings(), as_of)
    answer = engine.query(
        settings(),
        names,
        group_by,
        where=where,
        start=start.date() if start else None,
        end=end.date() if end else None,
        order=order,
        limit=limit,
        snapshot_id=as_of_snapshot,
    )
    if as_json:
        say_json(records(answer.columns, answer.rows))
    elif answer.rows:
        units = {each.name: each.unit for each in engine.described(settings(), names)}
        headings = [
            f"{column} ({units[column]})" if units.get(column) else column
            for column in answer.columns
        ]
        say_table(headings, answer.rows)
    else:
        known = engine.values(settings(), names, where, as_of_snapshot)
        others = "times, or other values" if where else "times"
        say("No row fits." if known else f"No row fits: ask for other {others}.")
        for dimension, of_it in known.items():
            told = f"is one of {', '.join(of_it)}"
            many = f"has more than {engine.MOST_VALUES} values, and none that was asked for"
            say(f"  {dimension} {told if of_it else many}")
