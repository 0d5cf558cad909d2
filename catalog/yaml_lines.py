"""YAML as the house writes it, line by line: bare where that is safe, one line where it fits."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import yaml

WIDTH: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_/.-]*( [A-Za-z0-9_/.-]+)*")
_WORDS: Final = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}


def scalar(text: str) -> str:
    """A string within braces or brackets: bare where that is safe, else in quotes."""
    is_bare = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if is_bare else _quoted(text)


def sentence(text: str) -> str:
    """A string on a line of its own: bare where YAML reads the same from it."""
    is_bare = text[:1].isalpha() and text.lower() not in _WORDS and "{" not in text
    return text if is_bare and _read(f"a: {text}") == {"a": text} else _quoted(text)


def described(text: str, indent: int) -> list[str]:
    """A description, folded where it is longer than a line."""
    if not text:
        return []
    line = f"{' ' * indent}description: {sentence(text)}"
    if len(line) <= WIDTH or " ".join(text.split()) != text:
        return [line]
    inner = " " * (indent + 2)
    return [
        f"{' ' * indent}description: >-",
        *textwrap.wrap(
            text, WIDTH, initial_indent=inner, subsequent_indent=inner,
            break_long_words=False, break_on_hyphens=False,
        ),
    ]  # fmt: skip


def flow(value: Any) -> str:
    """Any value, on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{scalar(str(k))}: {flow(v)}' for k, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(flow(each) for each in value)}]"
    return scalar(value) if isinstance(value, str) else json.dumps(value, default=str)


def entry(name: str, value: Any, indent: int) -> list[str]:
    """A key and its value: on one line where it fits, else one line for each part of it."""
    space = " " * indent
    line = f"{space}{name}: {flow(value)}"
    if len(line) <= WIDTH or not value or not isinstance(value, Mapping | list | tuple):
        return [line]
    if isinstance(value, Mapping):
        parts = [
            line for key, each in value.items() for line in entry(scalar(key), each, indent + 2)
        ]
        return [f"{space}{name}:", *parts]
    return [f"{space}{name}:", *(f"{space}  - {flow(each)}" for each in value)]


def key_test(columns: Sequence[str]) -> list[str]:
    """The data test of a model's key; one of a single column stands at the column."""
    if len(columns) < 2:
        return []
    return [
        "    data_tests:",
        "      - unique_combination:",
        f"          arguments: {flow({'columns': list(columns)})}",
    ]


def whole(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # JSON leaves alone what YAML takes for no character at all.
    written = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff]", lambda m: f"\\u{ord(m[0]):04x}", written)


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
