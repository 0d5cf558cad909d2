"""`sluice metrics`: governed numbers over the published snapshot."""

from __future__ import annotations

from datetime import datetime

import click

from cli.output import as_of_option, json_option, records, say, say_json, say_table
from warehouse.settings import settings


@click.group()
def metrics() -> None:
    """List the metrics, or ask one over time and by dimension."""


@metrics.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every metric: what it means, how it may be asked, who owns it."""
    from serving import metrics as engine

    found = engine.list_metrics(settings())
    if as_json:
        say_json([vars(each) for each in found])
        return
    say_table(
        ["metric", "type", "owner", "grains", "what it is"],
        [
            (each.name, each.type, each.owner, ", ".join(each.grains), each.description)
            for each in found
        ],
    )
    say("\nAsk one:  sluice metrics query mrr --by month")


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
    """Ask one or more metrics, by time and dimension, with structured filters only."""
    from serving import metrics as engine
    from serving.conditions import Condition
    from serving.published import snapshot_as_of

    answer = engine.query(
        settings(),
        names,
        group_by,
        where=[Condition.parse(each) for each in conditions],
        start=start.date() if start else None,
        end=end.date() if end else None,
        order=order,
        limit=limit,
        snapshot_id=snapshot_as_of(settings(), as_of),
    )
    if as_json:
        say_json(records(answer.columns, answer.rows))
    elif answer.rows:
        say_table(answer.columns, answer.rows)
    else:
        say("No row fits: ask for other times, or look at the values of what is filtered by.")
