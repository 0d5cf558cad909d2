"""How `sluice new` writes: shown as a diff, asked, then all of it or nothing."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import click

from cli.output import say
from warehouse.errors import SluiceError
from warehouse.settings import PROJECT_ROOT
from warehouse.words import counted, sentence

Texts = Mapping[PurePosixPath, str]
"""By a file's place in the repository, what is to stand in it."""

owner_option = click.option(
    "--owner", help="Who answers for it.", default="data", show_default=True
)
tier_option = click.option(
    "--tier", type=click.IntRange(1, 3), default=3, show_default=True, help="How much hangs on it."
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show what would be written, and write nothing."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def ask(given: str | None, question: str, flag: str) -> str:
    """What was given; else, on a terminal, what is answered."""
    if given:
        return given
    if not sys.stdin.isatty():
        raise click.UsageError(f"Give {flag}.")
    return str(click.prompt(question))


def several(given: str | None) -> list[str]:
    return [each.strip() for each in (given or "").split(",") if each.strip()]


def agreed(texts: Texts, *, dry_run: bool, yes: bool) -> bool:
    """Shown and asked: is it to be written?"""
    for path, text in texts.items():
        _show(path, text)
    say()
    if dry_run:
        return False
    if not yes and not click.confirm("Write these files?", default=True):
        raise SluiceError("Nothing was written.", remedy="Run it again with other flags.")
    return True


def refuse_existing(texts: Texts, root: Path = PROJECT_ROOT) -> None:
    there = [str(path) for path in texts if (root / path).exists()]
    if there:
        raise SluiceError(
            f"{', '.join(there)} exists already; nothing was written.",
            remedy="Give it another name, or add to its files by hand: "
            "--dry-run shows what would stand in them.",
        )


def write(texts: Texts, prove: Callable[[], None] | None = None, root: Path = PROJECT_ROOT) -> None:
    """All of them or none; and none if what `prove` looks at is not right then."""
    before = {
        root / path: (root / path).read_bytes() if (root / path).exists() else None
        for path in texts
    }
    try:
        for path, text in texts.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        if prove is not None:
            prove()
    except OSError as error:
        _restore(before)
        raise SluiceError(
            f"{error.filename} cannot be written: {error.strerror}; nothing was kept.",
            remedy="Free some space, or mend the rights of the folder.",
        ) from error
    except SluiceError as error:
        _restore(before)
        raise SluiceError(
            f"{sentence(error.what)} Nothing was kept.",
            remedy="Say it otherwise, and run it again.",
        ) from error
    except BaseException:
        _restore(before)
        raise
    say(f"✓ {counted(len(texts), 'file')} written")


def _restore(before: Mapping[Path, bytes | None]) -> None:
    for path, content in before.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)


def _show(path: PurePosixPath, text: str) -> None:
    there = PROJECT_ROOT / path
    old = there.read_text(encoding="utf-8").splitlines() if there.exists() else []
    first = str(path) if there.exists() else "/dev/null"
    for line in difflib.unified_diff(old, text.splitlines(), first, str(path), lineterm=""):
        is_new = line.startswith("+") and not line.startswith("+++")
        say(line, "green" if is_new else "")
