"""Checks written into the text of a check file, which keeps its words and its comments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from catalog.yaml_lines import WIDTH, entry, flow, whole
from catalog.yaml_places import Insert, end_of_list, fields, inserted
from quality.check_file import shown
from quality.proposing import ProposedCheck
from quality.strict_yaml import LOADER


def with_checks(path: Path, text: str, checks: Sequence[ProposedCheck]) -> str:
    """The file's text with these at the ends of its lists; the file `path` need not be there."""
    lines, file = text.splitlines(), shown(path)
    top = fields(yaml.compose(text, Loader=LOADER))
    its = [fields(each) for each in top["columns"].value] if "columns" in top else []
    known = {str(each["name"].value): each["checks"] for each in its}
    about_all = [line for each in checks if not each.column for line in _check(each, 2)]
    inserts: list[Insert] = []
    added: list[str] = []
    for name in dict.fromkeys(each.column for each in checks if each.column):
        written = [line for each in checks if each.column == name for line in _check(each, 6)]
        if name in known:
            inserts.append((end_of_list(known[name], 6, lines, file), written))
        else:
            added += [f"  - name: {name}", "    checks:", *written]
    if about_all and "checks" in top:
        inserts.append((end_of_list(top["checks"], 2, lines, file), about_all))
    elif about_all:
        inserts.append((0, ["checks:", *about_all]))
    if added and "columns" in top:
        inserts.append((end_of_list(top["columns"], 2, lines, file), added))
    elif added:
        inserts.append((len(lines), ["columns:", *added]))
    return whole(inserted(lines, inserts))


def _check(check: ProposedCheck, indent: int) -> list[str]:
    space = " " * indent
    if not check.body:
        return [f"{space}- {check.type}:"]
    line = f"{space}- {check.type}: {flow(check.body)}"
    if "name" not in check.body and len(line) <= WIDTH:
        return [line]
    within = [row for key, value in check.body.items() for row in entry(key, value, indent + 4)]
    return [f"{space}- {check.type}:", *within]
