"""Secrets: where they come from, and a wall that keeps them out of whatever we write.

A secret NAME is the environment variable NAME, or the first line of the file that NAME_FILE names;
either may stand in `.env`. A file must be readable by its owner only. Nothing secret is logged on
purpose; `redacted` is for what a library says of its own accord.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TextIO, cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from dotenv import dotenv_values

from warehouse.errors import SettingsError

HIDDEN: Final = "***"
DOT_ENV: Final = Path(__file__).resolve().parent.parent / ".env"
# A shorter one, a plain word or a number would blacken half of what we write, and is none.
_SHORTEST: Final = 6
_NO_SECRET: Final = re.compile(r"[a-z]+|[0-9]+")
_PASSWORD: Final = re.compile(r"\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))", re.I)


@dataclass(frozen=True)
class Secret:
    """Its value is never part of how it shows itself."""

    name: str
    value: str
    origin: str

    def __repr__(self) -> str:
        return f"Secret({self.name} from {self.origin})"

    @property
    def can_be_hidden(self) -> bool:
        return can_be_hidden(self.value)


def find(name: str) -> Secret | None:
    """The secret, if it is set; one that others may read is refused."""
    for values, where in ((os.environ, "environment"), (_dot_env(), str(DOT_ENV))):
        value, file = values.get(name) or "", values.get(f"{name}_FILE") or ""
        if not value and not file:
            continue
        if value and file:
            raise SettingsError(
                f"{name} and {name}_FILE are both set.", remedy="Take one of them away."
            )
        if where != "environment":
            owner_only(DOT_ENV)
        found = Secret(name, value or _first_line(name, Path(file)), file or where)
        remember(found.value)
        return found
    return None


def value(name: str) -> str:
    """The secret's value; empty if it is not set."""
    found = find(name)
    return found.value if found is not None else ""


def owner_only(path: Path) -> None:
    """Refuse a file with secrets that somebody else may read."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise SettingsError(
            f"Others may read {path} (mode {mode:03o}), and it holds secrets.",
            remedy=f"chmod 600 {path}; if somebody can have read it, change the secrets.",
        )


def _first_line(name: str, path: Path) -> str:
    try:
        owner_only(path)
        line = path.read_text(encoding="utf-8").strip("\n").split("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(
            f"{name}_FILE names {path}, which cannot be read: {said}.",
            remedy=f"Write the secret into its first line, or set {name}.",
        ) from None
    if not line:
        raise SettingsError(
            f"{name}_FILE names {path}, whose first line is empty.",
            remedy="Write the secret there.",
        )
    return line


def _dot_env() -> dict[str, str | None]:
    return dict(dotenv_values(DOT_ENV)) if DOT_ENV.exists() else {}


_known: set[str] = set()


def remember(secret: str) -> None:
    """From now on this text, and what of it is secret by itself, is kept out of what we write."""
    new = {each for each in (secret, *_inner(secret)) if can_be_hidden(each)} - _known
    if new:
        _known.update(new)
        _pattern.cache_clear()


def can_be_hidden(secret: str) -> bool:
    return len(secret) >= _SHORTEST and _NO_SECRET.fullmatch(secret) is None


def _inner(secret: str) -> Iterator[str]:
    """The password of an address; of a web address what follows the host."""
    try:
        parts = urlsplit(secret)
        password, user = parts.password, parts.username
    except ValueError:
        return
    if password:
        yield from (password, unquote(password), f"{unquote(user or '')}:{unquote(password)}")
    if parts.scheme in ("http", "https"):
        path = parts.path.strip("/")
        yield from (path, f"{path}?{parts.query}", parts.query, path.rsplit("/", 1)[-1])
        yield from (value for _, value in parse_qsl(parts.query))
    for quoted, bare in _PASSWORD.findall(secret):
        yield re.sub(r"\\(.)", r"\1", quoted) or bare


def redacted(text: str) -> str:
    """The text without any known secret, however it is written."""
    pattern = _pattern()
    return pattern.sub(HIDDEN, text) if pattern is not None else text


@cache
def _pattern() -> re.Pattern[str] | None:
    forms = {form for each in _known for form in _forms(each)}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if forms else None


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from (json.dumps(secret)[1:-1], repr(secret)[1:-1], html.escape(secret))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(secret.encode()).decode().rstrip("=")


class _Stream:
    """A stream to people, without secrets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(redacted(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_output() -> None:
    """Whatever this process prints."""
    sys.stdout = cast(TextIO, _Stream(sys.stdout))
    sys.stderr = cast(TextIO, _Stream(sys.stderr))


def guard_logs() -> None:
    """Whatever any library of this process logs, to a file, a stream or Dagster."""
    make = logging.getLogRecordFactory()
    if getattr(make, "is_guarded", False):
        return

    def guarded(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        if _pattern() is not None:
            said = record.getMessage()
            if redacted(said) != said:
                record.msg, record.args = redacted(said), ()
            if record.exc_info and record.exc_info[0] is not None:
                record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
        return record

    guarded.is_guarded = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(guarded)
