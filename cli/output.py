"""How the command speaks: plain text, colours only on a terminal, JSON where a script asks."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from cli.tables import indented, laid_out
from warehouse.person import speaker

by_option = click.option(
    "--by",
    default=speaker,
    show_default="your name in git, else in the system",
    help="Who says so.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")
as_of_option = click.option(
    "--as-of",
    "as_of",
    metavar="SNAPSHOT|TIME",
    help="What consumers saw then: a snapshot's id, 2026-03-31 (its end) or 2026-03-31T12:00 UTC.",
)
# What moves a cursor, colours a line or turns its direction: received text must do none of it.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def console() -> Console:
    # A pipe gets whole lines: what reads it cuts as it likes.
    width = None if sys.stdout.isatty() else 500
    return Console(emoji=False, highlight=False, markup=False, width=width)


def say(text: str = "", style: str = "") -> None:
    console().print(Text(harmless(text)), style=style or None)


def harmless(text: str) -> str:
    """What steers a terminal is shown as Python would write it; lines and tabs stay."""
    return _STEERING.sub(lambda found: repr(found[0])[1:-1], text.replace("\r\n", "\n"))


def say_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=_plain))


def say_table(
    headings: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Iterable[str] = ()
) -> None:
    """Numbers stand at the right: where a column holds nothing else, or `numbers` says so."""
    to, rows = console(), [*rows]
    cells = [[harmless(_shown(value)) for value in row] for row in rows]
    names = [*map(harmless, headings)]
    right = {*numbers, *(each for n, each in enumerate(names) if _are_numbers(rows, n))}
    for number, line in enumerate(laid_out(names, cells, width=_width(), right=right)):
        to.print(Text(line), style=None if number else "bold", soft_wrap=True)


def say_below(text: str) -> None:
    """What belongs to the line before."""
    for line in indented(harmless(text), _width()):
        console().print(Text(line), soft_wrap=True)


def _width() -> int | None:
    return console().width if sys.stdout.isatty() else None


def _are_numbers(rows: Sequence[Sequence[Any]], column: int) -> bool:
    there = [row[column] for row in rows if row[column] is not None]
    return bool(there) and all(type(each) in (int, float, Decimal) for each in there)


def records(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[Mapping[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, Decimal):
        return f"{value:,}"
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return str(value)
