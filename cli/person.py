"""Who it was: recorded wherever somebody takes responsibility."""

from __future__ import annotations

import getpass
import subprocess

import click


def me() -> str:
    """The name that git knows, else the system's."""
    try:
        told = subprocess.run(
            ["git", "config", "user.name"], capture_output=True, text=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        told = ""
    return told or getpass.getuser()


by_option = click.option(
    "--by", default=me, show_default="your name in git, else in the system", help="Who says so."
)
