"""YAML read strictly: every complaint names file, line and the nearest valid word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from quality.check_file import CheckFileError, shown
from warehouse import words

# The parser in C, where the library has it: the same nodes with the same lines, faster.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Entry = tuple[yaml.Node, yaml.Node]
"""A key of a mapping and its value, as nodes that know their lines."""


class StrictYaml:
    """One file; `variables` are the names that its texts may refer to as ${name}."""

    EMPTY = "is empty: a gate without checks proves nothing"
    REMEDY = "Correct the file (quality/README.md has the words); until then its gate stays closed."

    def __init__(self, path: Path, variables: Iterable[str]) -> None:
        self.path = path
        self.variables = tuple(variables)

    def document(self) -> yaml.Node:
        try:
            node = yaml.compose(self.path.read_text(encoding="utf-8"), Loader=LOADER)
        except UnicodeDecodeError as error:
            raise CheckFileError(
                f"{shown(self.path)} is not UTF-8 text: {error.reason}.",
                remedy="Save it as UTF-8.",
            ) from error
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise CheckFileError(
                f"{shown(self.path)}:{line} is not YAML: {error.problem}.",
                remedy="Correct the line; indent with spaces.",
            ) from error
        if node is None:
            raise self.error(None, self.EMPTY)
        return node

    def sequence(self, node: yaml.Node, word: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(node, f"`{word}` must be a list")
        if not node.value:
            raise self.error(node, f"`{word}` is empty")
        return list(node.value)

    def mapping(self, node: yaml.Node, what: str) -> dict[str, Entry]:
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{what} must be keys with values (is a colon missing?)")
        found: dict[str, Entry] = {}
        for key, value in node.value:
            word = str(key.value)
            if word in found:
                raise self.error(key, f"`{word}` stands twice in {what}; YAML would drop one")
            found[word] = (key, value)
        return found

    def known(self, given: Mapping[str, Entry], words: Iterable[str], what: str) -> None:
        for word, (key, _) in given.items():
            self.one_of(key, word, words, f"key of {what}")

    def one_of(self, node: yaml.Node, word: str, words: Iterable[str], what: str) -> None:
        known = list(words)
        if word not in known:
            raise self.error(node, f"`{word}` is not a {what}{nearest(word, known)}")

    def scalar(self, node: yaml.Node, word: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"`{word}` must be a plain value")
        return yaml.constructor.SafeConstructor().construct_document(node)

    def text(self, node: yaml.Node, word: str) -> str:
        value = self.scalar(node, word)
        if not isinstance(value, str) or not value.strip():
            raise self.error(node, f"`{word}` must be text")
        for name in re.findall(r"\$\{\s*([^}]*?)\s*\}", value):
            self.one_of(node, name, self.variables, "variable")
        return value.strip()

    def number(self, node: yaml.Node, word: str) -> float:
        value = self.scalar(node, word)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(node, f"`{word}` must be a number, not {value!r}")
        return float(value) if isinstance(value, float) else int(value)

    def error(self, node: yaml.Node | None, what: str) -> CheckFileError:
        line = f":{node.start_mark.line + 1}" if node is not None else ""
        joint = " " if node is None else ": "
        return CheckFileError(
            words.sentence(f"{shown(self.path)}{line}{joint}{what}"), remedy=self.REMEDY
        )


def nearest(word: str, among: Iterable[str]) -> str:
    known = sorted(among)
    near = words.nearest(word, known)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f" (known: {', '.join(known)})" if known and len(known) <= 12 else ""
