"""What a dbt test says of itself, for people who see it as a check: when it fails, and of what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

# dbt describes every test but its own four.
DBT_S_OWN: Final = {
    "unique": "Fails on values that repeat.",
    "not_null": "Fails on rows without a value.",
    "accepted_values": "Fails on values that are not listed.",
    "relationships": "Fails on values that the other table does not hold.",
}
REF: Final = re.compile(r"(?:ref|source)\((.*)\)")


def described(node: Mapping[str, Any], macros: Mapping[str, Mapping[str, Any]]) -> str:
    """The author's own words, else those of the kind of test, with what it is asked here."""
    said = (node.get("description") or "").strip()
    test = node.get("test_metadata")
    if said or not test:
        return said or f"Fails on rows that {node['original_file_path']} finds."
    where = node["config"].get("where")
    asked = {"column": node.get("column_name"), **test["kwargs"], "where": where}
    told = [
        f"{name}: {_plain(value)}"
        for name, value in asked.items()
        if name not in ("model", "column_name") and value is not None
    ]
    return f"{_kind(test['name'], node, macros)} {'; '.join(told)}".strip()


def _kind(name: str, node: Mapping[str, Any], macros: Mapping[str, Mapping[str, Any]]) -> str:
    used = [each for each in node["depends_on"]["macros"] if each.endswith(f".test_{name}")]
    texts = [(macros.get(each) or {}).get("description") or "" for each in used]
    return next((text.strip() for text in texts if text), DBT_S_OWN.get(name, ""))


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_plain(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    text = " ".join(str(value).split())
    found = REF.fullmatch(text)
    return ".".join(re.findall(r"[\w.]+", found.group(1))) if found else text
