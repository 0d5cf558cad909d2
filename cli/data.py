"""`sluice simulate`, `sluice query`, `sluice set-aside`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from cli.audience import audience_options, reader
from cli.output import as_of_option, json_option, records, say, say_json, say_table
from warehouse.settings import settings
from warehouse.words import counted

if TYPE_CHECKING:
    from ingestion.simulator.accidents import Broken
    from ingestion.simulator.simulate import Summary

DEFECTS = (
    "missing-column",
    "truncated-file",
    "bad-rows",
    "empty-file",
    "wrong-encoding",
    "implausible-amounts",
    "stale-source",
)


@click.command()
@click.option(
    "--size", type=click.Choice(["small", "medium", "large"]), default="small", show_default=True
)
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same files.")
@click.option("--days", type=int, help="Play only so many days of the history.")
@click.option("--next-day", is_flag=True, help="Land what one more day brings.")
@click.option("--defect", type=click.Choice(DEFECTS), help="Land a delivery that is broken so.")
@click.option("--mend", is_flag=True, help="Land the right delivery after a defect.")
@click.option("--serve", type=click.Choice(["billing"]), help="Play this source's API on loopback.")
@click.option("--port", type=int, default=8808, show_default=True, help="With --serve.")
@click.option("--misbehave", is_flag=True, help="With --serve: errors, torn answers, full queues.")
@json_option
def simulate(
    size: str,
    seed: int,
    days: int | None,
    next_day: bool,
    defect: str | None,
    mend: bool,
    serve: str | None,
    port: int,
    misbehave: bool,
    as_json: bool,
) -> None:
    """Play the sample company's sources into the landing zone.

    \b
    sluice simulate                       the whole small history
    sluice simulate --next-day            one more day
    sluice simulate --defect bad-rows     something goes wrong …
    sluice simulate --mend                … and the source sends it right
    sluice simulate --serve billing       its API, to fetch from: docs/guides/sources.md
    """
    if sum((next_day, defect is not None, mend, serve is not None)) > 1:
        raise click.UsageError("Choose one of --next-day, --defect, --mend, --serve.")
    if serve is not None:
        serve_billing(port, misbehave)
        return
    from ingestion.simulator import simulate as simulator

    if defect is not None:
        told([simulator.inject(settings(), defect)], as_json)
    elif mend:
        told(simulator.mend(settings()), as_json)
    else:
        summary = (
            simulator.next_day(settings())
            if next_day
            else simulator.run(
                settings(), size=size, seed=seed, days=days, progress=None if as_json else progress
            )
        )
        if as_json:
            say_json(vars(summary))
        else:
            say(f"✓ {summary_line(summary)}")


def serve_billing(port: int, misbehave: bool) -> None:
    """Until somebody stops it; what it shows is what lies in this data folder's landing."""
    import secrets
    import threading
    from pathlib import Path

    from ingestion.simulator import billing_api

    moods = billing_api.REAL if misbehave else billing_api.Moods()
    api = billing_api.from_landing(Path(settings().landing_url), moods)
    api.client, api.token = ("sluice", secrets.token_urlsafe(12)), secrets.token_urlsafe(12)
    with billing_api.serving(api, port) as url:
        say(f"✓ The billing API answers at {url}. Elsewhere, with another SLUICE_DATA_DIR:")
        say(f"    export BILLING_API_URL={url}")
        say(f"    export BILLING_API_CLIENT={api.client[0]} BILLING_API_SECRET={api.client[1]}")
        say("    sluice ingest billing")
        threading.Event().wait()


def told(deliveries: Sequence[Broken], as_json: bool) -> None:
    if as_json:
        say_json([vars(each) for each in deliveries])
        return
    for each in deliveries:
        say(f"✓ {each.entity}: {each.what} ({each.kind})")
        for file in each.files:
            say(f"    {file}")
    say("  `sluice run` loads what is there now.")


def summary_line(summary: Summary) -> str:
    if summary.was_complete:
        return f"the history is there already, until {summary.last_day}"
    rows = sum(summary.rows.values())
    return (
        f"{counted(summary.days, 'day')} until {summary.last_day}: "
        f"{counted(summary.files, 'file')}, {counted(rows, 'row')} in {summary.seconds:.1f}s"
    )


def progress(day: date, done: int, wanted: int) -> None:
    """A line that rewrites itself on a terminal; elsewhere silence until the end."""
    if sys.stderr.isatty() and (done % 5 == 0 or done == wanted):
        end = "\n" if done == wanted else ""
        click.echo(f"\r     {day}  {done}/{wanted} days {end}", nl=False, err=True)


@click.command()
@click.argument("sql")
@click.option("--limit", type=int, default=100, show_default=True, help="Rows at the most.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@audience_options
@as_of_option
@json_option
def query(
    sql: str,
    limit: int,
    as_csv: bool,
    audience: str,
    because: str | None,
    by: str,
    as_of: str | None,
    as_json: bool,
) -> None:
    """Ask the published snapshot in SQL.

    It is only read, and never waits for a run.
    """
    from serving.published import run_sql, snapshot_as_of

    clear = reader(audience, because, by)
    snapshot_id = snapshot_as_of(settings(), as_of)
    answer = run_sql(settings(), sql, limit=limit, snapshot_id=snapshot_id, reader=clear)
    columns, rows = answer.columns, answer.rows
    if as_json:
        say_json(records(columns, rows))
    elif as_csv:
        import csv

        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        say_table(columns, rows)
        if len(rows) == limit:
            say(f"({limit} rows shown; --limit shows more)", "dim")


@click.command("set-aside")
@click.argument("file")
@click.option("--because", required=True, help="Why this delivery is to be ignored.")
def set_aside(file: str, because: str) -> None:
    """Ignore a landed FILE that is wrong, for a recorded reason.

    Landing itself never changes: the file stays, the loader passes it by, in a workshop that is
    rebuilt as well. If it is loaded already, its rows leave raw, and the next run rebuilds what was
    made of them.
    """
    from ingestion.aside import set_aside as ignore
    from warehouse.workshop import writing

    with writing(settings(), "sluice set-aside", waiting=say):
        rows = ignore(settings(), file, because)
    gone = f" {counted(rows, 'row')} of it left raw." if rows else ""
    say(f"✓ {file} is set aside.{gone} `sluice run` carries on without it.")
