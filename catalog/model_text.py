"""The files of a new model, in our style: SQL that runs, YAML that says what is known."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from catalog.catalog import Column
from catalog.model_blueprint import Blueprint, Parent
from catalog.yaml_lines import WIDTH, described, flow, key_test, whole

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""By parent, some true rows."""
# An example shows a few columns; all of them would hide what it is about.
SHOWN: Final = 6
OPEN: Final = ("public", "internal")


def sql_text(made: Blueprint) -> str:
    lines = [f"-- {each}" for each in textwrap.wrap(made.grain, WIDTH)]
    lines += _config(made)
    first, *others = made.parents
    for number, parent in enumerate(made.parents):
        lines.append(f"{'with ' if not number else ''}{parent.alias} as (")
        lines.append(f"    select * from {{{{ ref('{parent.dataset.name}') }}}}")
        if made.by_day and not number:
            lines.append(f"    where {{{{ within_touched('{made.by_day}') }}}}")
        lines += ["),", ""]
    if others:
        names = [
            f"{parent.alias}.{each.name}" for parent in made.parents for each in parent.columns
        ]
        lines += ["joined as (", "    select", *_listed(names, 8), f"    from {first.alias}"]
        lines += [line for each in others for line in _join(first, each)]
        lines += ["),", ""]
    lines[-2:] = [")", ""]
    last = "joined" if others else first.alias
    return whole([*lines, "select", *_listed([c.name for c in made.columns], 4), f"from {last}"])


def yaml_text(made: Blueprint, rows: Rows) -> str:
    meta = {"owner": made.owner, "tier": made.tier, "classification": made.classification}
    lines = [
        "version: 2",
        "",
        "models:",
        f"  - name: {made.name}",
        *described(made.grain, 4),
        "    config:",
    ]
    if made.is_public:
        lines += ["      access: public"] if made.layer != "marts" else []
        lines += ["      contract: {enforced: true}"]
    lines.append(f"      meta: {flow(meta)}")
    lines += [*key_test(made.key), "    columns:"]
    for each in made.columns:
        lines += _column(each, made)
    return whole([*lines, *_unit_test(made, rows)])


def shown_columns(made: Blueprint, parent: Parent) -> list[str]:
    """Of a parent those of which an example tells; none where a key is nobody's business."""
    its = {each.name for each in parent.dataset.columns}
    needed = [*made.key, made.by_day, *parent.joined_by]
    needed += [name for other in made.parents[1:] for name in other.joined_by]
    first = [each for each in dict.fromkeys(needed) if each in its]
    is_open = {each.name: each.classification in OPEN for each in made.columns}
    if not all(is_open[each] for each in first):
        return []
    rest = [
        each.name
        for each in parent.columns
        if is_open[each.name] and each.data_type != "json" and each.name not in first
    ]
    return [*first, *rest][: max(SHOWN, len(first))]


def _config(made: Blueprint) -> list[str]:
    if not made.by_day:
        return []
    first, *others = (each.dataset.name for each in made.parents)
    touched = [f"{{'model': '{first}'}}", *(f"{{'whole': '{each}'}}" for each in others)]
    return [
        "{{ config(",
        "    materialized='touched_partitions',",
        f"    partition_by='{made.by_day}',",
        f"    touched_by=[{', '.join(touched)}],",
        ") }}",
        "",
    ]


def _join(first: Parent, other: Parent) -> list[str]:
    alike = [f"{first.alias}.{each} = {other.alias}.{each}" for each in other.joined_by]
    line = f"    left join {other.alias} on {' and '.join(alike)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"    left join {other.alias}", f"        on {' and '.join(alike)}"]


def _listed(names: Sequence[str], indent: int) -> list[str]:
    return [f"{' ' * indent}{each}," for each in names[:-1]] + [f"{' ' * indent}{names[-1]}"]


def _column(column: Column, made: Blueprint) -> list[str]:
    text = column.description or f"{column.name.replace('_', ' ').capitalize()}."
    lines = [
        f"      - name: {column.name}",
        f"        data_type: {column.data_type}",
        *described(text, 8),
    ]
    if column.classification != "internal":
        lines.append(f"        config: {{meta: {{classification: {column.classification}}}}}")
    if (column.name,) == made.key:
        lines.append("        data_tests: [unique, not_null]")
    elif column.name in made.key or column.name == made.by_day:
        lines.append("        data_tests: [not_null]")
    return lines


def _unit_test(made: Blueprint, rows: Rows) -> list[str]:
    """What the parents say of a few rows is what it says of them."""
    first, *others = made.parents
    if not rows.get(first.dataset.key):
        return []
    lines = [
        "",
        "unit_tests:",
        f"  - name: {made.name}_says_what_its_parents_say",
        f"    model: {made.name}",
        "    given:",
    ]
    for parent in made.parents:
        its = [line for each in rows[parent.dataset.key] for line in _row(each, 10)]
        lines += [f"      - input: ref('{parent.dataset.name}')"]
        lines += ["        rows:", *its] if its else ["        rows: []"]
    expected = [_joined(each, others, rows) for each in rows[first.dataset.key]]
    return [
        *lines,
        "    expect:",
        "      rows:",
        *(line for each in expected for line in _row(each, 8)),
    ]


def _joined(row: Mapping[str, Any], others: Sequence[Parent], rows: Rows) -> Mapping[str, Any]:
    found = dict(row)
    for other in others:
        for theirs in rows[other.dataset.key]:
            if all(theirs[each] == row[each] for each in other.joined_by):
                found |= {name: value for name, value in theirs.items() if name not in found}
    return found


def _row(row: Mapping[str, Any], indent: int) -> list[str]:
    """One row, broken between its cells where it is longer than a line."""
    lines = [f"{' ' * indent}- {{"]
    for number, (name, value) in enumerate(row.items()):
        cell = f"{name}: {flow(_plain(value))}{'}' if number == len(row) - 1 else ','}"
        if len(lines[-1]) + len(cell) > WIDTH and not lines[-1].endswith("{"):
            lines.append(" " * (indent + 3) + cell)
        else:
            lines[-1] += cell if lines[-1].endswith("{") else f" {cell}"
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, datetime | date) else value
