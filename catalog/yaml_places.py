"""Lines put at the end of a list in YAML that people wrote: their words and comments stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import yaml

from warehouse.errors import SluiceError

Insert = tuple[int, Sequence[str]]
"""Before which line, and what."""


def fields(node: yaml.Node | None) -> Mapping[str, yaml.Node]:
    """Of a mapping, its values by their keys."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): value for key, value in node.value}


def end_of_list(node: yaml.Node, indent: int, lines: Sequence[str], file: str) -> int:
    """The line after its last; where it is not one item a line at `indent`, nothing is added."""
    in_lines = isinstance(node, yaml.SequenceNode) and not node.flow_style
    if not in_lines or node.start_mark.column != indent:
        raise SluiceError(
            f"{file} is not laid out as the others are, so nothing is added to it.",
            remedy="Add it by hand: --dry-run with another name shows what it could be.",
        )
    last = int(node.start_mark.line)
    for number in range(last + 1, min(int(node.end_mark.line) + 1, len(lines))):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) < indent:
            break
        last = number if line.strip() else last
    return last + 1


def inserted(lines: Sequence[str], inserts: Iterable[Insert]) -> list[str]:
    """In the order given, where several go to one place."""
    found = list(lines)
    # From the end, so that no place moves before its turn.
    for at, new in sorted(reversed(list(inserts)), key=lambda each: -each[0]):
        found[at:at] = new
    return found
