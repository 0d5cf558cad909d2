"""Who asks: personal columns in clear only for a reason, and logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from cli.output import by_option

if TYPE_CHECKING:
    from serving.access import Reader

Command = Callable[..., None]


def audience_options(command: Command) -> Command:
    for option in (
        by_option,
        click.option(
            "--because", help="Why personal columns are read (with --audience privileged)."
        ),
        click.option(
            "--audience",
            type=click.Choice(["default", "privileged"]),
            default="default",
            show_default=True,
            help="`privileged` shows personal columns in clear, and is logged.",
        ),
    ):
        command = option(command)
    return command


def reader(audience: str, because: str | None, by: str) -> Reader | None:
    """Who reads in clear; None for everybody else."""
    from serving.access import reader_of

    if audience == "privileged":
        return reader_of(by, because)
    if because is not None:
        raise click.UsageError("--because goes with --audience privileged.")
    return None
