"""`sluice environment`: what an environment with a prefix has made in a shared database."""

from __future__ import annotations

import click

from cli.output import say
from warehouse.settings import settings


@click.group()
def environment() -> None:
    """One of several environments in one database.

    SLUICE_SCHEMA_PREFIX names it.
    """


@environment.command()
@click.confirmation_option(
    "--yes", prompt="Its schemas, roles and files are gone for good. Go on?", help="Ask nothing."
)
def drop() -> None:
    """Drop schemas, roles and files of this environment.

    Never of production.

    It is the one that SLUICE_SCHEMA_PREFIX names. A landing zone or backups elsewhere stay.
    """
    from catalog.audiences import readers
    from warehouse.dropping import drop as dropped

    here = settings()
    gone = dropped(here, readers(here))
    listed = f"{', '.join(gone)}, " if gone else ""
    say(f"✓ dropped: {listed}{here.own_dir}")
