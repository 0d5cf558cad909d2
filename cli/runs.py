"""`sluice run` and `sluice replay`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import closing

import click

from cli.output import json_option, say, say_json
from warehouse.errors import GateClosedError
from warehouse.settings import settings
from warehouse.words import counted


@click.command()
@click.option(
    "--select",
    "-s",
    "selection",
    multiple=True,
    help="A dataset, its lineage (+name, name+), source:<name> or layer:<name>; repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="Build everything, due or not.")
@json_option
def run(selection: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Load, build, check and publish what is due.

    A selection, or --all, is built whether it is due or not.

    Due is what would have other rows now: its inputs, its definition or the day have changed.

    A closed gate keeps everything downstream as it was; what is open is published all the same.
    """
    if selection and everything:
        raise click.UsageError("Name what to build, or say --all.")
    outcome = run_and_report(selection, everything=everything, quiet=as_json)
    if as_json:
        say_json(outcome)
    if not outcome["success"]:
        raise GateClosedError(
            "The run ended with something shut or broken (above: ✗).",
            remedy="`sluice status` says what is closed, since when and why; "
            "docs/on_call.md says how to mend it.",
        )


def run_and_report(
    selection: Sequence[str] = (), *, everything: bool = False, quiet: bool = False
) -> dict[str, object]:
    from orchestration.running import run as start

    started = time.monotonic()

    def report(text: str) -> None:
        if not quiet:
            elapsed = time.monotonic() - started
            shown = text.replace("\n", "\n" + " " * 11)
            say(f"  {elapsed:6.1f}s  {shown}", "red" if text.startswith("✗") else "")
            sys.stdout.flush()

    outcome = start(selection, report=report, everything=everything)
    if not quiet:
        for problem in outcome.unsaid:
            say(f"  {problem}", "red")
        say(f"  run {outcome.run_id[:8]} took {time.monotonic() - started:.1f}s")
    return {
        "run_id": outcome.run_id,
        "success": outcome.success,
        "problems": list(outcome.problems),
    }


@click.command()
@click.argument("source", required=False)
@click.option("--quarantine", is_flag=True, help="Only rows in quarantine, by today's contract.")
@json_option
def replay(source: str | None, quarantine: bool, as_json: bool) -> None:
    """Load again from landing: a SOURCE, or what is in quarantine.

    Landing keeps every byte, so a replay needs nothing from the source and gives the same rows.
    """
    from ingestion.contracts import contracts_of
    from ingestion.replay import replay_quarantine, replay_source
    from warehouse.workshop import connect, writing

    if source is None and not quarantine:
        raise click.UsageError("Name a source, or say --quarantine.")
    if source is not None:
        # Nobody should wait for the writer to be told of a slip of the pen.
        contracts_of(settings(), source)
    with (
        writing(settings(), "sluice replay", waiting=say),
        closing(connect(settings())) as connection,
    ):
        if quarantine:
            replayed = replay_quarantine(settings(), connection, source)
            told = [vars(each) for each in replayed]
            lines = [
                f"{each.source}.{each.entity}: {counted(each.accepted, 'row')} understood now, "
                f"{each.still_bad} still not"
                for each in replayed
            ]
        else:
            assert source is not None
            result = replay_source(settings(), connection, source)
            if result.refused:
                first = result.refused[0]
                raise GateClosedError(f"Nothing is replayed. {result}", remedy=first.remedy)
            told = [
                {"source": source, "entity": entity, **vars(each)}
                for entity, each in result.entities.items()
            ]
            lines = [
                f"{source}.{entity}: {counted(each.files, 'file')}, {counted(each.rows, 'row')}, "
                f"{each.quarantined} quarantined"
                for entity, each in result.entities.items()
            ]
            if result.staying:
                lines.append(
                    f"{source}: {result.staying:,} files that landing has let go stay in raw as "
                    "they are"
                )
    if as_json:
        say_json(told)
        return
    for line in lines or ["Nothing is in quarantine."]:
        say(f"✓ {line}")
    say("  `sluice run` builds and publishes what changed.")
