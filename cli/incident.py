"""`sluice incident`: what is wrong now, what was, and what people say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import by_option, json_option, say, say_json, say_table
from warehouse.clock import wall_clock
from warehouse.errors import SluiceError
from warehouse.settings import settings
from warehouse.words import counted

if TYPE_CHECKING:
    from serving.incidents import FactKind, Incident
    from serving.timeline import Moment, StaleTable


@click.group()
def incident() -> None:
    """Incidents: list, look into, add what people know.

    \b
    sluice incident list                         what is open
    sluice incident show 3fa8                    one of them (the id's beginning is enough)
    sluice incident show last                    the one that opened last
    sluice incident ack 3fa8                     I am on it
    sluice incident cause 3fa8 "sent in cents"   why it happened
    """


@incident.command("list")
@click.option("--all", "with_closed", is_flag=True, help="Those that are closed, too.")
@json_option
def list_(with_closed: bool, as_json: bool) -> None:
    """The open incidents: how long, whose, how far they reach, why."""
    from serving.incidents import incidents, span

    known = incidents(settings())
    found = [each for each in known if with_closed or each.is_open]
    if as_json:
        say_json([asdict(each) | {"runbook": each.runbook} for each in found])
        return
    closed = len(known) - sum(each.is_open for each in known)
    if not found:
        hint = f" {closed} closed: `sluice incident list --all`." if closed else ""
        say(f"No incident is open.{hint}")
        return
    now = wall_clock()
    say_table(
        ["", "incident", "dataset", "opened", "for", "tier", "owner", "affects", "taken by", "why"],
        [
            (
                "✗" if each.is_open else "✓",
                each.incident_id,
                each.dataset_key,
                f"{each.opened_at:%Y-%m-%d %H:%M}",
                span(each.lasted(now)),
                each.tier,
                each.owner or "nobody",
                counted(each.affected_dataset_count, "dataset"),
                each.acknowledged_by or "",
                ("again: " if each.is_recurrence else "") + each.reason,
            )
            for each in found
        ],
        numbers=["tier"],
    )
    say("`sluice incident show <id>` tells one of them whole.", "dim")


@incident.command()
@click.argument("incident_id")
@json_option
def show(incident_id: str, as_json: bool) -> None:
    """One incident whole, with its timeline and runbook.

    What happened, whom it affects, what consumers see.
    """
    from serving.incidents import find
    from serving.timeline import stale_tables, timeline

    found = find(settings(), incident_id)
    moments = timeline(settings(), found)
    stale = stale_tables(settings(), found) if found.is_open else ()
    if as_json:
        say_json(
            asdict(found)
            | {
                "runbook": found.runbook,
                "timeline": [asdict(each) for each in moments],
                "stale_tables": [asdict(each) for each in stale],
            }
        )
    else:
        _tell(found, moments, stale)


@incident.command()
@click.argument("incident_id")
@click.argument("text", required=False, default="")
@by_option
def ack(incident_id: str, text: str, by: str) -> None:
    """Say that you have seen it and are on it."""
    _add("acknowledged", incident_id, text, by)


@incident.command()
@click.argument("incident_id")
@click.argument("text")
@by_option
def note(incident_id: str, text: str, by: str) -> None:
    """Add what you found out.

    Notes are never edited; a later one says more.
    """
    _add("note", incident_id, text, by)


@incident.command()
@click.argument("incident_id")
@click.argument("text")
@by_option
def cause(incident_id: str, text: str, by: str) -> None:
    """Say why it happened; the latest cause counts."""
    _add("cause", incident_id, text, by)


@incident.command()
@click.argument("incident_id")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to (default: postmortems in the data folder).",
)
@by_option
def postmortem(incident_id: str, to: Path | None, by: str) -> None:
    """Write a postmortem to fill in.

    Times, timeline, impact and questions are there.
    """
    from serving.incidents import find
    from serving.postmortem import write
    from serving.timeline import timeline

    found = find(settings(), incident_id)
    moments = timeline(settings(), found)
    path = write(settings(), found, moments, by=by, to=to, now=wall_clock())
    say(f"✓ {path}")


@incident.command()
@click.option("--test", "trial", is_flag=True, help="Send a trial message to every channel.")
@json_option
def notify(trial: bool, as_json: bool) -> None:
    """Tell what is due to whom it concerns.

    Every publish does this by itself.

    Who is told what, and where, stands in notifications.yml (docs/on_call.md).
    """
    from serving.notifications import notify as tell
    from serving.notifications import try_channels

    told = try_channels(settings()) if trial else tell(settings())
    if as_json:
        say_json(asdict(told))
    else:
        for line in told.lines:
            say(line, "red" if line.startswith("✗") else "")
        if not told.lines:
            say("Nothing is due: every state change has been told.")
    if told.failed:
        raise SluiceError(
            f"{counted(len(told.failed), 'message')} could not be sent.",
            remedy="They are tried again at the next publish; "
            "`sluice incident notify --test` tries every channel.",
        )


def _add(fact: FactKind, incident_id: str, text: str, by: str) -> None:
    from serving.incidents import add_fact, find

    found = find(settings(), incident_id)
    add_fact(settings(), found, fact, by, text)
    before = f" (before: {found.acknowledged_by})" if found.acknowledged_by else ""
    again = before if fact == "acknowledged" else ""
    said = f": {text}" if text else ""
    say(f"✓ {found.incident_id} {found.dataset_key}: {fact} by {by}{said}{again}")


def _tell(found: Incident, moments: Sequence[Moment], stale: Sequence[StaleTable]) -> None:
    from serving.incidents import span

    now = wall_clock()
    lasted = span(found.lasted(now))
    state = f"open for {lasted}" if found.is_open else f"closed after {lasted}"
    say(
        f"{'✗' if found.is_open else '✓'} {found.incident_id}  {found.dataset_key}  {state}", "bold"
    )
    detected = f", detected after {span(found.detect_seconds)}" if found.detect_seconds else ""
    again = f" (again: {found.recurrence_of} was the same)" if found.is_recurrence else ""
    rows = [
        ("what", found.reason + again),
        ("since", f"{found.opened_at:%Y-%m-%d %H:%M:%S} UTC{detected}"),
        ("owner", f"{found.owner or 'nobody'}, tier {found.tier}"),
        ("affects", _counted(found.affected_dataset_count, "dataset", found.affected_datasets)),
    ]
    if found.affected_metrics:
        count = len(found.affected_metrics)
        rows.append(("", _counted(count, "metric", found.affected_metrics)))
    rows += [("consumers see" if n == 0 else "", str(each)) for n, each in enumerate(stale)]
    if found.acknowledged_at is not None:
        when = f"{found.acknowledged_at:%Y-%m-%d %H:%M} UTC"
        rows.append(("taken by", f"{found.acknowledged_by}, {when}"))
    rows += [("cause", found.cause or "not said yet"), ("runbook", found.runbook)]
    for label, value in rows:
        say(f"  {label:<14}{value}")
    say("Timeline (UTC)", "bold")
    for each in moments:
        say(f"  {each.at:%Y-%m-%d %H:%M:%S}  {each.what:<12}  {each.text}")
    if found.is_open:
        taken = found.acknowledged_at is not None
        word = "cause` says why it happened" if taken else "ack` takes it"
        say(f"Next: read the runbook; `sluice incident {word}.", "dim")


def _counted(count: int, word: str, names: Sequence[str]) -> str:
    if not count:
        return f"no {word}"
    return f"{counted(count, word)}: {', '.join(names)}"
