"""`sluice quarantine`: what was received and not understood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import click

from cli.audience import audience_options, reader
from cli.moments import moment
from cli.output import json_option, say, say_below, say_json, say_table
from warehouse.clock import wall_clock
from warehouse.errors import LockedError, SettingsError
from warehouse.settings import settings
from warehouse.words import counted, did_you_mean

if TYPE_CHECKING:
    from ingestion.quarantine import QuarantinedRow, Sought
    from quality.quarantined import ShownRow
    from warehouse.connection import Connection

Told = tuple["QuarantinedRow", dict[str, object], str]
"""A row, what is told of it as data, and in words."""
Found = TypeVar("Found")

since_option = click.option(
    "--since", metavar="SPAN|TIME", help="Set aside since: 4h, 3d, or a moment in UTC."
)
reason_option = click.option("--reason", default="", help="Only reasons that hold these words.")


@click.group()
def quarantine() -> None:
    """Look at the rows that were received and not understood.

    \b
    sluice quarantine list                 how many, of which entity, why
    sluice quarantine show crm.leads       the rows: file, line, reason, content
    sluice replay crm --quarantine         take in what fits a corrected contract
    """


@quarantine.command("list")
@click.argument("entity", metavar="[SOURCE[.ENTITY]]", required=False)
@since_option
@reason_option
@json_option
def list_(entity: str | None, since: str | None, reason: str, as_json: bool) -> None:
    """How many rows wait, by entity and reason."""
    from ingestion.quarantine import causes

    sought = _sought(entity, since, reason)
    found = _asked(lambda connection: causes(connection, sought))
    none = "" if found else _none(sought)
    if as_json:
        say_json([vars(each) for each in found])
    elif none:
        say(none)
    else:
        say_table(
            ["entity", "rows", "files", "newest", "reason"],
            [
                (
                    f"{each.source}.{each.entity}",
                    f"{each.rows:,}",
                    f"{each.files:,}",
                    each.until,
                    each.reason,
                )
                for each in found
            ],
            numbers=["rows", "files"],
        )
        most = max(found, key=lambda each: each.rows)
        say(f"`sluice quarantine show {most.source}.{most.entity}` shows the rows themselves.")


@quarantine.command()
@click.argument("entity", metavar="[SOURCE[.ENTITY]]", required=False)
@since_option
@reason_option
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows.")
@audience_options
@json_option
def show(
    entity: str | None,
    since: str | None,
    reason: str,
    limit: int,
    audience: str,
    because: str | None,
    by: str,
    as_json: bool,
) -> None:
    """The rows, newest first: file, line, reason, content.

    Personal values are masked, and so is what belongs to no declared column. Of a value that is not
    what its column promises the shape is shown: letters as x, digits as 9; so in CSV, where a comma
    shifts all that follows, is each text and number of an entity that has personal columns.
    --audience privileged shows the bytes as they came, for a recorded reason.
    """
    from ingestion.quarantine import causes, waiting_rows

    sought = _sought(entity, since, reason)
    clear = reader(audience, because, by)
    rows, total = _asked(
        lambda connection: (
            waiting_rows(connection, sought, limit),
            sum(each.rows for each in causes(connection, sought)),
        )
    )
    if not rows:
        none = _none(sought)
        say_json([]) if as_json else say(none)
        return
    if clear is not None:
        from serving.access import log_quarantine_access

        of = sorted({f"raw.{each.source}.{each.entity}" for each in rows})
        log_quarantine_access(settings(), clear, of)
        told: list[Told] = [(row, {"content": row.content}, row.content or "") for row in rows]
    else:
        told = [(each.row, _as_data(each), _in_words(each)) for each in _masked(rows)]
    if as_json:
        say_json([{**_place(row), **data} for row, data, _ in told])
        return
    for row, _, text in told:
        say(f"{row.file}:{row.row_number}  {row.reason}", "bold")
        say_below(text)
    if total > len(rows):
        say(f"({len(rows)} of {counted(total, 'row')}; --limit shows more)", "dim")
    _advise(rows)


def _sought(entity: str | None, since: str | None, reason: str) -> Sought:
    from ingestion.quarantine import Sought

    source, _, name = (entity or "").removeprefix("raw.").partition(".")
    after = moment(since, wall_clock(), is_past=True) if since else None
    return Sought(source or None, name or None, after, reason)


def _asked(question: Callable[[Connection], Found]) -> Found:
    """Read the ledger, shortly: on DuckDB a run that starts meanwhile has to wait."""
    from warehouse.workshop import connect, is_begun, is_writing

    if not is_begun(settings()):
        raise SettingsError("Nothing was ever loaded.", remedy="`sluice run` loads what landed.")
    try:
        with closing(connect(settings(), read_only=True)) as connection:
            return question(connection)
    except LockedError as error:
        writer = is_writing(settings()) or {}
        who = f"{writer.get('purpose', 'another process')} (pid {writer.get('pid', '?')})"
        raise LockedError(
            f"The quarantine stands in the workshop, which {who} is writing.",
            remedy="Ask again when it has ended (`sluice status` says whether). What each load set "
            f"aside is counted in the log, too: {settings().landing_url}/platform/loads.",
        ) from error


def _masked(rows: Sequence[QuarantinedRow]) -> list[ShownRow]:
    from catalog.catalog import load_catalog
    from quality.quarantined import shown_rows

    return shown_rows(settings(), load_catalog(settings()), rows)


def _place(row: QuarantinedRow) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if name != "content"}


def _as_data(each: ShownRow) -> dict[str, object]:
    return {"values": dict(each.values), "hidden_characters": each.hidden_characters}


def _in_words(each: ShownRow) -> str:
    told = [f"{name}={'–' if value is None else value}" for name, value in each.values.items()]
    if each.hidden_characters:
        rest = counted(each.hidden_characters, "character")
        told.append(f"(and {rest} that belong to no column)")
    return "  ".join(told) or "(nothing of it was kept: landing has it)"


def _none(sought: Sought) -> str:
    from ingestion.contracts import read_contracts

    of = ".".join(each for each in (sought.source, sought.entity) if each)
    contracts = read_contracts(settings())
    known = {*contracts, *(each.name for held in contracts.values() for each in held.values())}
    if of and of not in known:
        raise SettingsError(
            f"No source and no entity of one is called {of}.{did_you_mean(of, known)}",
            remedy="`sluice quarantine list` names those of which rows wait.",
        )
    if sought == type(sought)():
        return "Nothing is in quarantine."
    since = f" since {sought.since:%Y-%m-%d %H:%M} UTC" if sought.since else ""
    why = f" for “{sought.reason}”" if sought.reason else ""
    return f"No row{f' of {of}' if of else ''} is in quarantine{since}{why}."


def _advise(rows: Sequence[QuarantinedRow]) -> None:
    first = rows[0]
    say()
    say(f"Next: is the contract wrong, correct dbt_project/models/raw/{first.source}.yml:")
    say(f"      `sluice replay {first.source} --quarantine` takes in what fits then.")
    say("      Are the rows wrong, have them sent again; a file that is wrong as a whole")
    say(f"      leaves by `sluice set-aside {first.file} --because …`.")
