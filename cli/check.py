"""`sluice check`: may this change be merged? What continuous integration asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cli.output import json_option, say, say_json
from warehouse.errors import GateClosedError
from warehouse.settings import settings
from warehouse.words import counted

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.changes import Change
    from serving.budgets import Budget


@dataclass(frozen=True)
class Fault:
    dataset: str
    what: str
    remedy: str


@click.command()
@click.option("--base", help="The branch or commit to compare with (default: the main branch).")
@click.option("--fix", is_flag=True, help="This change mends what spent a budget.")
@json_option
def check(base: str | None, fix: bool, as_json: bool) -> None:
    """Check this change before it is merged.

    Check files, service levels, classification, contracts, error budgets.

    A column that is classified lower than what reaches it is refused, and the way there is shown.

    A change that breaks a source's contract is refused, unless a commit of it says in a last line
    `Breaks-contract: <source>.<table>` (`sluice contract check` shows whom it reaches).

    A dataset of tier 1 whose error budget is spent takes fixes only: commits whose subject begins
    with "fix" or "revert", or --fix.
    """
    from catalog.catalog import load_catalog
    from catalog.changes import base_of, changes_since
    from serving.budgets import budgets

    catalog = load_catalog(settings())
    changes = changes_since(catalog, base_of(base))
    known = budgets(settings())
    faults = [
        *_promises(catalog),
        *_leaks(catalog),
        *_breaks(catalog, base),
        *([] if fix else _budgets(changes, known)),
    ]
    if as_json:
        say_json(
            {
                "changed": [each.key for each in changes],
                "budgets_known": known is not None,
                "faults": [vars(each) for each in faults],
            }
        )
    else:
        names = ", ".join(each.key for each in changes) or "–"
        say(f"{counted(len(changes), 'dataset')} changed: {names}")
        if known is None:
            say("No error budgets are known here: none refuses this change (SLUICE_ERROR_BUDGETS).")
        for each in faults:
            say(f"✗ {each.dataset}: {each.what}" if each.dataset else f"✗ {each.what}", "red")
            say(f"    → {each.remedy}")
        if not faults:
            say("✓ Nothing speaks against this change.")
    if faults:
        raise GateClosedError(f"Against this change: {counted(len(faults), 'fault')}, above.")


def _promises(catalog: Catalog) -> Iterator[Fault]:
    from quality import checks, service_levels

    for each in (*checks.problems(catalog), *service_levels.problems(catalog)):
        yield Fault("", each.what, each.remedy)


def _leaks(catalog: Catalog) -> Iterator[Fault]:
    from catalog import leaks

    for each in leaks.problems(settings(), catalog):
        yield Fault(each.dataset, each.what, each.remedy)


def _breaks(catalog: Catalog, base: str | None) -> Iterator[Fault]:
    from ingestion.contracting.agreeing import judge

    for each in judge(settings(), against=base, catalog=catalog).breaking:
        difference, reach = each.difference, each.reach
        reached = f"; it reaches {', '.join(reach.owners)}" if reach.owners else ""
        yield Fault(
            f"raw.{difference.entity}",
            f"its contract is broken: {difference}. {difference.rule.why}{reached}",
            difference.remedy or "`sluice contract check` shows whom it reaches.",
        )


def _budgets(changes: Sequence[Change], known: Sequence[Budget] | None) -> Iterator[Fault]:
    from serving.budgets import spent

    used_up = spent(known or ())
    for each in changes:
        if each.key in used_up and not each.is_fix:
            promises = "; ".join(str(budget) for budget in used_up[each.key])
            yield Fault(
                each.key,
                f"its error budget of 28 days is spent ({promises}), and this change "
                f"({', '.join(each.files)}) is not marked as a fix.",
                "Mend first: begin the commits' subjects with `fix`, or say --fix. Other changes "
                "wait until the budget has recovered.",
            )
