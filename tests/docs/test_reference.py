"""docs/reference/commands.md says what `sluice --help` says, for every command."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from cli.main import sluice
from warehouse.settings import PROJECT_ROOT

REFERENCE = PROJECT_ROOT / "docs" / "reference" / "commands.md"
UPDATE = "UPDATE_REFERENCE=1 .venv/bin/python -m pytest tests/docs/test_reference.py"
WIDTH = 100
OPENING = f"""# Commands

What `sluice --help` and the help of each command say. Made from the code, not by hand; to make
it anew: `{UPDATE}`.
"""


def written() -> str:
    return "\n".join([OPENING, *(_section(path, command) for path, command in _walk(sluice))])


def _walk(
    command: click.Command, path: tuple[str, ...] = ("sluice",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from _walk(found, (*path, name))


def _section(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(
        command, info_name=" ".join(path), terminal_width=WIDTH, max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )  # fmt: skip
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    return "\n".join([f"## {' '.join(path)}", "```text", *lines, "```", ""])


def test_the_reference_of_commands_says_what_their_help_says() -> None:
    if os.environ.get("UPDATE_REFERENCE"):
        REFERENCE.write_text(written())
    assert REFERENCE.exists() and REFERENCE.read_text() == written(), (
        f"The commands' help has changed. Make {REFERENCE.name} anew: {UPDATE}"
    )
