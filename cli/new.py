"""`sluice new`: a source of one's own, from one file to everything that the house asks for."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.new_check import check
from cli.new_metric import metric
from cli.new_model import model
from cli.output import say
from cli.writing import (
    agreed,
    dry_run_option,
    owner_option,
    refuse_existing,
    tier_option,
    write,
    yes_option,
)
from warehouse.errors import SluiceError
from warehouse.settings import Settings, settings

if TYPE_CHECKING:
    from ingestion.proposal import Proposal

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@click.group()
def new() -> None:
    """Write the first version of something, in the house's style."""


new.add_command(check)
new.add_command(metric)
new.add_command(model)


@new.command()
@click.argument("name")
@click.option("--file", "file", type=click.Path(path_type=Path), help="A file as it is sent.")
@click.option("--url", help="A list of an HTTP API; one page is asked for.")
@click.option("--connection", help="A database, as SQLAlchemy names it; needs --table.")
@click.option("--table", help="The table of --connection.")
@click.option("--token-variable", help="The variable of the environment that holds a token.")
@click.option("--entity", help="What a row is about, in the plural; else from the file's name.")
@click.option("--key", help="Columns that identify a row, with commas; else proposed.")
@owner_option
@tier_option
@click.option("--freshness-hours", type=click.IntRange(1), help="What the source promises.")
@click.option("--land", is_flag=True, help="Let the file land, too, so that a run loads it.")
@dry_run_option
@yes_option
def source(
    name: str,
    file: Path | None,
    url: str | None,
    connection: str | None,
    table: str | None,
    token_variable: str | None,
    entity: str | None,
    key: str | None,
    owner: str,
    tier: int,
    freshness_hours: int | None,
    land: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Look at what the source NAME sends, and propose contract, staging model and checks.

    Give a file, a URL or a table of a database; on a terminal it asks for a file. What it proposes
    is shown as a diff before it is written. docs/guides/new_source.md goes through it.
    """
    if not (file or url or connection) and sys.stdin.isatty():
        file = Path(click.prompt("A file as the source sends it"))
    if sum(map(bool, (file, url, connection))) != 1 or bool(connection) != bool(table):
        raise click.UsageError("Give one of --file, --url, and --connection with --table.")
    if land and not file:
        raise click.UsageError("--land is for --file: others are fetched by `sluice ingest`.")
    origin = str(table or (url or "").partition("?")[0].rsplit("/", 1)[-1] or (file or Path()).name)
    proposal = _proposal(
        name, _entity(name, entity, origin), file, url, connection, table, token_variable, key,
        owner, tier, freshness_hours,
    )  # fmt: skip
    from ingestion.blueprint import files

    texts = files([proposal])
    _tell(proposal)
    if not agreed(texts, dry_run=dry_run, yes=yes):
        return
    refuse_existing(texts)
    write(texts)
    if file and (land or (not yes and click.confirm("Land the file, too?", default=True))):
        say(f"✓ {land_file(settings(), proposal, file)}")
    for note in _next_steps(proposal):
        say(note)


def land_file(here: Settings, proposal: Proposal, file: Path) -> str:
    """As if it had been dropped: the same way, the same bytes, the same memory of it."""
    from ingestion.connectors.declaration import Connector
    from ingestion.connectors.files import fetch_files
    from ingestion.connectors.words import FilesEntity, FilesSource
    from ingestion.contracts import read_contracts
    from ingestion.received import file_alone

    with file_alone(file) as folder:
        drop = FilesSource(kind="files", url=str(folder), settle_seconds=0)
        takes = {**proposal.entity_connector, "pattern": "*"}
        fetched = fetch_files(
            here,
            Connector(
                proposal.source, f"{proposal.source}.yml", drop,
                {proposal.entity: FilesEntity.model_validate(takes)},
                read_contracts(here)[proposal.source],
            ),
            lambda _: None,
        )  # fmt: skip
    if fetched.problems:
        raise SluiceError("; ".join(fetched.problems), remedy="Give a file that can be read.")
    return str(fetched)


def _entity(name: str, entity: str | None, origin: str) -> str:
    from ingestion.naming import plain_name

    found = entity or plain_name(origin.rsplit("/", 1)[-1].split(".")[0]) or "rows"
    for each in (name, found):
        if not _NAME.fullmatch(each):
            raise click.UsageError(f"{each!r} is no name: lower case letters, digits, _.")
    return found


def _proposal(
    name: str,
    entity: str,
    file: Path | None,
    url: str | None,
    connection: str | None,
    table: str | None,
    token_variable: str | None,
    key: str | None,
    owner: str,
    tier: int,
    freshness_hours: int | None,
) -> Proposal:
    from ingestion.connectors.sql import first_rows
    from ingestion.connectors.trying import first_page
    from ingestion.proposal import propose
    from ingestion.received import look_at_file, look_at_lines

    variable, notes = name.upper(), tuple[str, ...]()
    if file:
        received = look_at_file(file)
        connector = {"kind": "files", "url": f"${{env:{variable}_DROP_URL}}"}
        takes = received.declared.model_dump(exclude_defaults=True)
        stem = re.sub(r"[^A-Za-z0-9_.-]", "?", file.name.split(".")[0])
        its = {**takes, "pattern": f"{stem.rstrip('0123456789-_') or stem}*"}
    elif url:
        page = first_page(name, url, *_token(token_variable))
        received, notes = look_at_lines(page.lines), page.notes
        connector, its = dict(page.source), dict(page.entity)
    else:
        received = look_at_lines(first_rows(str(connection), str(table), 100_000))
        connector = {"kind": "sql", "url": f"${{env:{variable}_URL}}"}
        its = {"table": str(table)}
    keys = [each.strip() for each in (key or "").split(",") if each.strip()]
    found = propose(
        received, name, entity, owner=owner, tier=tier, key=keys,
        freshness_hours=freshness_hours or 0,
    )  # fmt: skip
    if connection and found.newest:
        its["cursor"] = next(c.seen.name for c in found.columns if c.name == found.newest)
    return replace(found, connector=connector, entity_connector=its, notes=(*notes, *found.notes))


def _token(variable: str | None) -> tuple[str, str]:
    if not variable:
        return "", ""
    if not os.environ.get(variable):
        raise SluiceError(f"{variable} is not set.", remedy="Export it before, or leave it out.")
    return os.environ[variable], variable


def _tell(proposal: Proposal) -> None:
    say(f"{proposal.source}.{proposal.entity}: {proposal.received.profile.rows:,} rows, "
        f"{len(proposal.columns)} columns, key {', '.join(proposal.key) or '(none)'}")  # fmt: skip
    for note in proposal.notes:
        say(f"  · {note}")


def _next_steps(proposal: Proposal) -> list[str]:
    variables = re.findall(r"\$\{env:(\w+)\}", f"{proposal.connector}{proposal.entity_connector}")
    steps = [f"  sluice run --select source:{proposal.source}+"]
    if variables:
        steps.insert(0, f"  export {'=… '.join(dict.fromkeys(variables))}=…   wakes its connector")
    return ["", "Read what was written, and say what the columns mean. Then:", *steps]
