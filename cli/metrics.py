"""`sluice metrics`: governed numbers over the published snapshot."""

from __future__ import annotations

import click

from cli.output import json_option, records, say, say_json, say_table
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
    say("\nAsk one:  sluice metrics query mrr --by metric_time__month")


@metrics.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--by", "group_by", multiple=True, help="metric_time__month, or a dimension.")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="DIMENSION=VALUE",
    help="Keep only this value of a dimension (=, !=, <, <=, >, >=); repeatable.",
)
@click.option("--start", help="From this day (YYYY-MM-DD).")
@click.option("--end", help="Until this day, inclusive (YYYY-MM-DD).")
@click.option("--limit", type=int, default=100, show_default=True)
@json_option
def query(
    names: tuple[str, ...],
    group_by: tuple[str, ...],
    conditions: tuple[str, ...],
    start: str | None,
    end: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Ask one or more metrics, by time and dimension, with structured filters only."""
    from serving import metrics as engine

    answer = engine.query(
        settings(),
        names,
        group_by=group_by,
        where=[engine.parse_filter(each) for each in conditions],
        start=start,
        end=end,
        limit=limit,
    )
    if as_json:
        say_json(records(answer.columns, answer.rows))
    else:
        say_table(answer.columns, answer.rows)
