"""`sluice backfill`: do again what was done before, in steps, while the daily work goes on."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cli.output import json_option, say, say_json, say_table
from warehouse.settings import settings
from warehouse.words import some

if TYPE_CHECKING:
    from orchestration.backfill_plan import Plan, Standing

DAY = click.DateTime(["%Y-%m-%d"])
id_argument = click.argument("backfill_id", metavar="[ID]", default="last")


@click.group()
def backfill() -> None:
    """Read files or build days anew, in steps, beside daily work.

    \b
    sluice backfill plan --change                  what differs from what is built
    sluice backfill plan --source crm              files, under today's contract
    sluice backfill plan --model fct_sessions --from 2026-01-01
    sluice backfill run                            does what the last plan shows

    docs/guides/backfill.md tells which one is needed when.
    """


@backfill.command("plan")
@click.option("--source", default="", help="Read this source's landed files anew.")
@click.option("--entity", default="", help="With --source: only this entity's.")
@click.option("--model", default="", help="Build this model anew; +name: with what it reads.")
@click.option("--change", is_flag=True, help="All whose definition is not what they are built by.")
@click.option("--from", "since", type=DAY, help="From this day (of a model), or received then.")
@click.option("--to", "until", type=DAY, help="To this day.")
@click.option("--step", type=click.IntRange(min=1), show_default="as hold a million rows",
              help="So many files or days in each step.")  # fmt: skip
@json_option
def plan(
    source: str,
    entity: str,
    model: str,
    change: bool,
    since: datetime | None,
    until: datetime | None,
    step: int | None,
    as_json: bool,
) -> None:
    """Show what a backfill would do; nothing is changed.

    The plan is kept under an id for `run`.
    """
    from orchestration.backfill_planning import Asked, make_plan
    from warehouse.workshop import writing

    if sum((bool(source), bool(model), change)) != 1:
        raise click.UsageError("Name one of --source, --model, --change.")
    if entity and not source:
        raise click.UsageError("--entity goes with --source.")
    if change and (since or until):
        raise click.UsageError("--from and --to go with --source or --model.")
    asked = Asked(
        source, model, change, entity, since.date() if since else None,
        until.date() if until else None, step,
    )  # fmt: skip
    with writing(settings(), "sluice backfill plan", waiting=lambda text: say(text)):
        made = make_plan(settings(), asked)
    if as_json:
        say_json(None if made is None else _plain(made))
    elif made is None:
        say("✓ Everything is built from today's definitions: there is nothing to do again.")
    else:
        _show(made)
        say(f"  `sluice backfill run {made.backfill_id}` does this; nothing is changed yet.")


@backfill.command("run")
@id_argument
@json_option
def run(backfill_id: str, as_json: bool) -> None:
    """Do what the plan ID (default: the last one) shows.

    Started again, it carries on.

    The writer's lock is free between two steps. What it changes is left alone by other runs and
    shown as it was, until one publish at the end shows all of it.
    """
    from orchestration.backfilling import run as start

    started = time.monotonic()

    def report(text: str) -> None:
        if not as_json:
            say(f"  {time.monotonic() - started:6.1f}s  {text}", "red" if text[0] == "✗" else "")
            sys.stdout.flush()

    found = start(backfill_id, report)
    if as_json:
        say_json(_row(found))
    else:
        say(f"✓ backfill {found.plan.backfill_id}: {len(found.plan.steps)} steps are done, "
            f"{len(found.plan.published)} published tables show it")  # fmt: skip


@backfill.command("status")
@click.argument("backfill_id", metavar="[ID]", required=False)
@json_option
def status(backfill_id: str | None, as_json: bool) -> None:
    """How far each backfill has come; with an ID also its steps. It waits for no run."""
    from orchestration.backfill_plan import span, standing, standings

    found = [standing(settings(), backfill_id)] if backfill_id else standings(settings())
    if as_json:
        say_json([_row(each) | ({"plan": _plain(each.plan)} if backfill_id else {})
                  for each in found])  # fmt: skip
        return
    if not found:
        say("No backfill was planned yet: `sluice backfill plan`.")
        return
    say_table(
        ["backfill", "asked", "state", "steps", "took", "left", "said"],
        [
            (
                each.plan.backfill_id,
                each.plan.asked,
                each.state,
                f"{each.done} of {len(each.plan.steps)}",
                span(each.seconds),
                span(each.left),
                each.reason,
            )
            for each in found
        ],
    )
    if backfill_id:
        _show(found[0].plan, found[0].done)


@backfill.command("stop")
@id_argument
def stop(backfill_id: str) -> None:
    """Give up the backfill ID (default: the last one).

    What it held, the next `sluice run` builds as it is due.

    Files and days that it has read or built already stay so; what lies aside is thrown away.
    """
    from orchestration.backfilling import stop as give_up

    found = give_up(backfill_id, lambda text: say(text))
    say(f"✓ Backfill {found.plan.backfill_id} is stopped after {found.done} of "
        f"{len(found.plan.steps)} steps.")  # fmt: skip


def _show(made: Plan, done: int = -1) -> None:
    from orchestration.backfill_plan import span

    say(f"Backfill {made.backfill_id} ({made.asked})")
    for key, why in made.reasons.items():
        say(f"  {key}: {why}")
    say_table(
        ["", "step", "expected", "what"],
        [
            ("✓" if number < done else "", number + 1, span(each.seconds), str(each))
            for number, each in enumerate(made.steps)
        ],
        numbers=["step", "expected"],
    )
    total = span(made.seconds) or "nobody knows yet: the log has no such load or build"
    say(f"Expected from the log: {total}, besides checks and tests.")
    named = some(made.published, 6) or "nothing"
    say(f"Published again at the end, as they are until then: {named}.")


def _plain(made: Plan) -> dict[str, Any]:
    from dataclasses import asdict

    steps = [asdict(each) | {"what": str(each)} for each in made.steps]
    return asdict(made) | {"steps": steps, "seconds": made.seconds}


def _row(found: Standing) -> dict[str, Any]:
    return {
        "backfill_id": found.plan.backfill_id,
        "asked": found.plan.asked,
        "state": found.state,
        "planned_at": found.made_at,
        "started_at": found.since,
        "steps": len(found.plan.steps),
        "done": found.done,
        "seconds": found.seconds,
        "seconds_left": found.left,
        "reason": found.reason or None,
    }
