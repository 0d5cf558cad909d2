"""`sluice new model`: from its parents to SQL that runs, described, classified and tested."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import click

from cli.output import say
from cli.writing import (
    agreed,
    ask,
    dry_run_option,
    refuse_existing,
    several,
    write,
    yes_option,
)
from warehouse.errors import SluiceError
from warehouse.settings import settings

if TYPE_CHECKING:
    from catalog.model_blueprint import Blueprint
    from catalog.model_text import Rows
    from warehouse.connection import Connection

# As many as would have caught a real accident, and no list that nobody reads.
CHECKS_OF_A_KIND = {"rows": 1, "completeness": 2, "values": 1, "range": 1, "freshness": 1}


@click.command()
@click.argument("name", required=False)
@click.option(
    "--from", "parents", multiple=True, metavar="DATASET",
    help="What it reads, repeatable: the first has its rows, others are joined by their keys.",
)  # fmt: skip
@click.option("--grain", help="What one row is, in a sentence; else as the first parent has it.")
@click.option("--key", help="Columns that tell rows apart, with commas; else the first parent's.")
@click.option("--subject", help="The folder of a curated model; else the first parent's.")
@click.option("--owner", help="Who answers for it; else the first parent's.")
@click.option("--tier", type=click.IntRange(1, 3), help="Else the first parent's.")
@click.option("--by-day", metavar="COLUMN", help="Build only the days that a change touched.")
@click.option("--public", is_flag=True, help="Publish a curated model; marts always are.")
@dry_run_option
@yes_option
def model(
    name: str | None,
    parents: tuple[str, ...],
    grain: str | None,
    key: str | None,
    subject: str | None,
    owner: str | None,
    tier: int | None,
    by_day: str | None,
    public: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Write the model NAME: SQL, YAML, tests, checks.

    Checks are written if it is public.

    dim_… and fct_… are curated, other names are marts. It has all columns of what it reads, as
    they are described and classified there: take out what is not needed, and add your logic.
    """
    from catalog.catalog import load_catalog
    from catalog.model_blueprint import layer_of, plan
    from warehouse.workshop import connect

    name = ask(name, "Its name (dim_…, fct_… or <domain>_<noun>_<grain>)", "a name")
    layer_of(name)
    read = parents or several(ask(None, "What does it read, with commas", "--from"))
    catalog = load_catalog(settings())
    made = plan(
        catalog,
        name,
        read,
        grain=grain or "",
        key=several(key),
        subject=subject or "",
        owner=owner or "",
        tier=tier or 0,
        by_day=by_day or "",
        is_public=public,
    )
    with closing(connect(settings(), read_only=True)) as connection:
        texts = _texts(made, connection)
    refuse_existing(texts)
    if agreed(texts, dry_run=dry_run, yes=yes):
        write(texts, lambda: _prove(made))
        say("\nRead what was written, and say what it adds. Then:")
        say(f"  sluice run --select {made.name}")


def _texts(made: Blueprint, connection: Connection) -> dict[PurePosixPath, str]:
    from catalog.model_rows import is_buildable, refuse_repeated_key, true_rows
    from catalog.model_text import sql_text, yaml_text

    rows: Rows = {}
    is_there = is_buildable(made, connection)
    if is_there:
        refuse_repeated_key(made, connection)
        rows = true_rows(made, connection)
    texts = {
        made.place.with_name(f"{made.name}.sql"): sql_text(made),
        made.place.with_name(f"{made.name}.yml"): yaml_text(made, rows),
    }
    if made.is_public:
        place = PurePosixPath("quality/checks") / made.layer / f"{made.name}.yml"
        texts[place] = _checks(made, connection if is_there else None)
    if not any(rows.values()):
        say("No unit test is written: there is no row to show that nobody must be shy of.")
    return texts


def _checks(made: Blueprint, connection: Connection | None) -> str:
    from catalog.model_rows import query_of
    from quality.check_lines import with_checks
    from quality.checks import check_path
    from quality.proposing import ProposedCheck, look, propose
    from warehouse.clock import as_of

    dataset = made.as_dataset()
    own = made.parents[0].columns
    seen = look(connection, query_of(made), own) if connection else ()
    proposed = propose(dataset, seen, as_of(settings()), CHECKS_OF_A_KIND, made.key)
    few: list[ProposedCheck] = []
    for kind, number in CHECKS_OF_A_KIND.items():
        few += [each for each in proposed if each.kind == kind][:number]
    return with_checks(check_path(dataset), "", few)


def _prove(made: Blueprint) -> None:
    """As dbt, the check files and the lineage have it now; else nothing of it stays."""
    from catalog import leaks
    from catalog.catalog import load_catalog
    from quality.checks import load

    catalog = load_catalog(settings())
    load(catalog, catalog[f"{made.layer}.{made.name}"])
    found: Sequence[leaks.Problem] = [
        each for each in leaks.problems(settings(), catalog) if each.dataset.endswith(made.name)
    ]
    if found:
        raise SluiceError(f"{found[0].what}", remedy=found[0].remedy)
