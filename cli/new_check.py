"""`sluice new check`: what holds of a dataset today, written down so that it goes on to hold."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import click

from cli.output import say, say_table
from cli.writing import agreed, ask, dry_run_option, write, yes_option
from warehouse.errors import SluiceError
from warehouse.settings import PROJECT_ROOT, settings

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Dataset
    from quality.proposing import ProposedCheck
    from quality.proving import Proof
    from warehouse.connection import Connection

# The words of quality/proposing.py, which is not imported to print a help text.
KINDS = ("rows", "completeness", "values", "range", "uniqueness", "freshness")


@click.command()
@click.argument("dataset", required=False)
@click.option("--column", "columns", multiple=True, help="Only of this column; repeatable.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only these; repeatable."
)
@dry_run_option
@yes_option
def check(
    dataset: str | None, columns: tuple[str, ...], kinds: tuple[str, ...], dry_run: bool, yes: bool
) -> None:
    """Look at a dataset, and propose checks for its gate.

    Each is tried first: it must hold today, and it must fail on a copy that was spoilt for it.
    What its file declares already is not proposed again.
    """
    from catalog.catalog import load_catalog
    from quality.checks import check_path
    from quality.proving import prove
    from warehouse.clock import as_of
    from warehouse.workshop import connect

    catalog = load_catalog(settings())
    found = catalog.find(ask(dataset, "Of which dataset", "the name of a dataset"))
    path = check_path(found)
    with closing(connect(settings(), read_only=True)) as connection:
        wanted = _wanted(catalog, found, connection, columns, kinds)
        proofs = prove(catalog, found, wanted, connection, as_of(settings()).isoformat())
    kept = [each.check for each in proofs if each.holds and each.is_sharp]
    if proofs:
        _tell(proofs)
    if not kept:
        raise SluiceError(
            f"Nothing is to be added for {found.key}: what could be proposed is declared, or does "
            "not hold.",
            remedy="Write what you know of it by hand: quality/README.md has the words.",
        )
    from quality.check_lines import with_checks

    text = path.read_text(encoding="utf-8") if path.exists() else ""
    place = PurePosixPath(path.relative_to(PROJECT_ROOT).as_posix())
    texts = {place: with_checks(path, text, kept)}
    if agreed(texts, dry_run=dry_run, yes=yes):
        write(texts, lambda: _read_again(catalog, found))
        say(f"\nIts gate asks them from the next run on:  sluice run --select {found.name}")


def _wanted(
    catalog: Catalog,
    dataset: Dataset,
    connection: Connection,
    columns: Sequence[str],
    kinds: Sequence[str],
) -> list[ProposedCheck]:
    from catalog.keys import key
    from quality.checks import check_path, load
    from quality.proposing import look, propose
    from warehouse.clock import as_of, wall_clock
    from warehouse.structure import exists

    known = [each.name for each in dataset.columns]
    strange = [each for each in columns if each not in known]
    if strange:
        raise SluiceError(
            f"{dataset.key} has no column {', '.join(strange)}.",
            remedy=f"It has: {', '.join(known)}.",
        )
    if not exists(connection, dataset.schema, dataset.name):
        raise SluiceError(
            f"{dataset.key} is not built yet.", remedy=f"sluice run --select {dataset.name}"
        )
    looked_at = [each for each in dataset.columns if not columns or each.name in columns]
    now = wall_clock() if dataset.has_wall_clock else as_of(settings())
    seen = look(connection, dataset.relation, looked_at)
    proposed = propose(dataset, seen, now, kinds or KINDS, key(catalog, dataset))
    file = load(catalog, dataset) if check_path(dataset).exists() else None
    there = file.checks if file else ()
    return [
        each
        for each in proposed
        if not any(each.is_same(one) for one in there) and (each.column or not columns)
    ]


def _tell(proofs: Sequence[Proof]) -> None:
    say_table(
        ["check", "column", "today", "bad data", "what was seen"],
        [
            (
                each.check.kind,
                each.check.column,
                each.today.outcome if each.today else "not evaluated",
                "closes the gate" if each.is_sharp else "passes: left out",
                each.check.why,
            )
            for each in proofs
        ],
    )
    say()


def _read_again(catalog: Catalog, dataset: Dataset) -> None:
    from quality.checks import load

    load(catalog, dataset)
