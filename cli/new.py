"""`sluice new`: a source of one's own, from one file to everything that the house asks for."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
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
@click.option(
    "--file", "files", multiple=True, type=click.Path(path_type=Path),
    help="A file as it is sent, or a folder of them; repeatable: an entity of each.",
)  # fmt: skip
@click.option("--url", help="A list of an HTTP API; one page is asked for.")
@click.option("--connection", help="A database, as SQLAlchemy names it; needs --table.")
@click.option("--table", "tables", multiple=True, help="A table of --connection; repeatable.")
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
    files: tuple[Path, ...],
    url: str | None,
    connection: str | None,
    tables: tuple[str, ...],
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
    """Look at what NAME sends; propose contract, models, checks.

    Give files, a URL or tables of a database; on a terminal it asks for a file. What it proposes
    is shown as a diff before it is written. docs/guides/new_source.md goes through it.
    """
    if not (files or url or connection) and sys.stdin.isatty():
        files = (Path(click.prompt("A file as the source sends it")),)
    if sum(map(bool, (files, url, connection))) != 1 or bool(connection) != bool(tables):
        raise click.UsageError("Give one of --file, --url, and --connection with --table.")
    if land and not files:
        raise click.UsageError("--land is for --file: others are fetched by `sluice ingest`.")
    sent = _sent(files)
    origins: list[tuple[Path | None, str | None]] = [(each, None) for each in sent]
    origins += [(None, each) for each in tables] or ([(None, None)] if url else [])
    if len(origins) > 1 and (entity or key):
        raise click.UsageError("--entity and --key are for one file or table at a time.")
    proposals = []
    for file, table in origins:
        address = (url or "").partition("?")[0].rsplit("/", 1)[-1]
        origin = _stem(file) if file else str(table or address)
        proposals.append(
            _proposal(
                name, _entity(name, entity, origin), file, url, connection, table, token_variable,
                key, owner, tier, freshness_hours,
            )
        )  # fmt: skip
    _refuse_twice([each.entity for each in proposals])
    from ingestion.blueprint import files as texts_of

    texts = texts_of(proposals)
    for each in proposals:
        _tell(each)
    if not agreed(texts, dry_run=dry_run, yes=yes):
        return
    refuse_existing(texts)
    write(texts)
    if sent and (land or (not yes and click.confirm("Land what was sent, too?", default=True))):
        for each, file in zip(proposals, sent, strict=True):
            say(f"✓ {land_file(settings(), each, file)}")
    for note in _next_steps(proposals[0]):
        say(note)


def _sent(files: Sequence[Path]) -> list[Path]:
    """Of a folder one file of each name, numbers and dates apart: the last is what is sent now."""
    found: list[Path] = []
    for each in files:
        if not each.is_dir():
            found.append(each)
            continue
        inside = sorted(path for path in each.iterdir() if path.is_file() and path.name[0] != ".")
        if not inside:
            raise SluiceError(f"{each} holds no file.", remedy="Name a folder of files as sent.")
        found += {_stem(path): path for path in inside}.values()
    return found


def _stem(file: Path) -> str:
    """leads_2026-03-01.csv → leads"""
    stem = file.name.split(".")[0]
    return stem.rstrip("0123456789-_") or stem


def _refuse_twice(entities: Sequence[str]) -> None:
    twice = sorted({each for each in entities if entities.count(each) > 1})
    if twice:
        raise SluiceError(
            f"{', '.join(twice)} would be there twice.",
            remedy="Name the files one by one: each entity has one.",
        )


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
        its = {**takes, "pattern": f"{re.sub(r'[^A-Za-z0-9_.-]', '?', _stem(file))}*"}
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
