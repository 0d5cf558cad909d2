"""`sluice grants`: who may read what on PostgreSQL, as the policy says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.output import json_option, say, say_json
from warehouse.errors import SettingsError, SluiceError
from warehouse.settings import settings

if TYPE_CHECKING:
    from warehouse.snapshot_rows.granting import Plan
    from warehouse.snapshot_rows.views import Seen


@click.group()
def grants() -> None:
    """Compare roles and rights with the policy; make them so."""


@grants.command()
@json_option
def plan(as_json: bool) -> None:
    """Show the SQL that `apply` would run; change nothing."""
    from warehouse.snapshot_rows import granting

    found = granting.plan(settings(), _wanted())
    if as_json:
        say_json(vars(found))
        return
    _print(found)
    if found.is_empty:
        say("✓ Roles and rights are as the policy says.")


@grants.command()
@json_option
def apply(as_json: bool) -> None:
    """Make roles and rights what the policy says.

    Again and again changes nothing.
    """
    from warehouse.snapshot_rows import granting
    from warehouse.workshop import writing

    wanted = _wanted()
    with writing(settings(), "sluice grants apply", waiting=say):
        found = granting.apply(settings(), wanted)
    if as_json:
        say_json(vars(found))
        return
    _print(found)
    say(f"✓ {len(found.statements)} statements; roles and rights are as the policy says.")


@grants.command()
@json_option
def verify(as_json: bool) -> None:
    """Fail if roles and rights are not what the policy says.

    One too many is as wrong as one that is missing.
    """
    from warehouse.snapshot_rows import granting

    found = granting.plan(settings(), _wanted())
    if as_json:
        say_json(vars(found))
    elif not found.is_empty:
        _print(found)
    if not found.is_empty:
        count = len(found.statements) + len(found.other_views) + len(found.findings)
        raise SluiceError(
            f"Rights on the server differ from the policy in {count} places.",
            remedy="`sluice grants apply` makes them so; what it cannot judge is told above.",
        )
    if not as_json:
        say("✓ Roles and rights are as the policy says.")


def _wanted() -> dict[str, Seen]:
    from catalog.audiences import seen
    from catalog.catalog import load_catalog

    if settings().target != "postgres":
        raise SettingsError(
            "DuckDB has no roles: its published files are made per audience.",
            remedy="Set SLUICE_TARGET=postgres, or see docs/guides/rights.md.",
        )
    return seen(settings(), load_catalog(settings()))


def _print(found: Plan) -> None:
    for statement in found.statements:
        say(f"{statement};")
    for view in found.other_views:
        say(f"-- the view of {view} is made anew")
    for finding in found.findings:
        say(f"-- {finding}", "yellow")
