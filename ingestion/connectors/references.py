"""Settings and secrets of a connector: named in the YAML, kept outside of it.

`${env:NAME}` is the environment variable, `${file:path}` the first line of a file (as systems that
mount secrets give them). Only who connects resolves them; nothing resolved is logged or kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from warehouse.errors import SettingsError
from warehouse.secrets import remember
from warehouse.settings import PROJECT_ROOT

_REFERENCE: Final = re.compile(r"\$\{(env|file):([^}]+)\}")
_HIDDEN: Final = "…"


def references(value: object) -> Iterator[tuple[str, str]]:
    """Every (kind, name) that the value refers to, however deep."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            yield match.group(1), match.group(2).strip()
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references(each)


def unset(value: object) -> list[str]:
    """What the value refers to and is not there."""
    return [name for kind, name in references(value) if _found(kind, name) is None]


def resolved(value: Any, where: str) -> Any:
    """The value with its references filled in."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _required(match, where), value)
    if isinstance(value, Mapping):
        return {key: resolved(each, where) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(each, where) for each in value]
    return value


def without_secrets(text: str, value: object) -> str:
    """The text without what any of the value's references stand for."""
    for kind, name in references(value):
        secret = _found(kind, name)
        # A secret of a letter or two would blacken the whole text, and is none.
        if secret and len(secret) > 3:
            text = text.replace(secret, _HIDDEN)
    return re.sub(r"(://[^/\s:@]*:)[^/\s@]+@", rf"\1{_HIDDEN}@", text)


def _required(match: re.Match[str], where: str) -> str:
    kind, name = match.group(1), match.group(2).strip()
    found = _found(kind, name)
    if found is None:
        what = f"The variable {name}" if kind == "env" else f"The file {name}"
        raise SettingsError(
            f"{what}, which the connector of {where} refers to, is not there.",
            remedy="Set it where Sluice runs (nothing secret belongs into the YAML).",
        )
    return found


def _found(kind: str, name: str) -> str | None:
    found = _given(kind, name)
    if found:
        remember(found)
    return found


def _given(kind: str, name: str) -> str | None:
    if kind == "env":
        return os.environ.get(name) or None
    path = Path(name) if Path(name).is_absolute() else PROJECT_ROOT / name
    try:
        return path.read_text(encoding="utf-8").strip("\n").split("\n")[0] or None
    except OSError:
        return None
