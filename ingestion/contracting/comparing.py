"""A proposed contract held against the one that runs: every difference, by its rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from catalog.classification import rank
from ingestion.contracting.promises import Promise, PromisedColumn, Promises
from ingestion.contracting.rules import RULES, Rule
from ingestion.contracts import ON_DRIFT

_DIGITS: Final = {"integer": (10, 0), "bigint": (19, 0)}
_DECIMAL: Final = re.compile(r"decimal\((\d+),(\d+)\)")


@dataclass(frozen=True)
class Difference:
    """One change of one entity, or of a column of it."""

    rule: Rule
    entity: str
    column: str = ""
    was: str = ""
    now: str = ""

    @property
    def subject(self) -> str:
        return f"{self.entity}.{self.column}" if self.column else self.entity

    @property
    def remedy(self) -> str:
        source, _, entity = self.entity.partition(".")
        return self.rule.remedy.format(source=source, entity=entity, was=self.was)

    def __str__(self) -> str:
        values = f" ({self.was or '–'} → {self.now or '–'})" if self.was or self.now else ""
        return f"{self.subject}: {self.rule.change}{values}"


def differences(before: Promises, after: Promises, today: date) -> tuple[Difference, ...]:
    """Everything that is promised otherwise; `today` decides whether an announced day has come."""
    found: list[Difference] = []
    for name in sorted({*before, *after}):
        if name not in before:
            found.append(Difference(RULES["table_added"], name))
        elif name not in after:
            found.append(Difference(RULES["table_removed"], name))
        else:
            found += _of_entity(before[name], after[name], today)
    return tuple(found)


def _of_entity(old: Promise, new: Promise, today: date) -> Iterator[Difference]:
    renamed = dict(_renamed(old, new))
    yield from _of_promise(old, new, renamed)
    columns = {each.name: each for each in new.columns}
    for column in old.columns:
        name = renamed.get(column.name, column.name)
        if name not in columns:
            yield _dropped(old.name, column, today)
            continue
        found = columns[name]
        if name != column.name:
            key = "column_renamed" + ("_with_alias" if column.name in found.aliases else "")
            yield Difference(RULES[key], old.name, name, column.name, name)
            # Its old name is accounted for.
            found = replace(found, aliases=tuple(a for a in found.aliases if a != column.name))
        yield from _of_column(old.name, column, found, column.name in old.contract.key, today)
    known = {renamed.get(each.name, each.name) for each in old.columns}
    for column in new.columns:
        if column.name not in known:
            key = "column_added" + ("_required" if column.is_required else "")
            yield Difference(RULES[key], old.name, column.name, "", column.data_type)


def _renamed(old: Promise, new: Promise) -> Iterator[tuple[str, str]]:
    """By old name, the new one: an alias says so; the same type at the same place suggests it."""
    before, after = {c.name for c in old.columns}, {c.name for c in new.columns}
    taken: set[str] = set()
    for place, column in enumerate(old.columns):
        if column.name in after:
            continue
        added = [each for each in new.columns if each.name not in before | taken]
        named = [each.name for each in added if column.name in each.aliases]
        here = new.columns[place] if place < len(new.columns) else None
        alike = [here.name] if here in added and here.data_type == column.data_type else []
        for name in (named or alike)[:1]:
            taken.add(name)
            yield column.name, name


def _of_promise(old: Promise, new: Promise, renamed: Mapping[str, str]) -> Iterator[Difference]:
    was, now = old.contract, new.contract
    key = tuple(renamed.get(name, name) for name in was.key)
    plain: tuple[tuple[str, Any, Any], ...] = (
        ("key_changed", key, now.key),
        ("format_changed", was.format, now.format),
        ("delimiter_changed", was.delimiter, now.delimiter),
        ("change_log_changed", old.change_log, new.change_log),
        ("schema_changed", was.schema, now.schema),
        ("owner_changed", old.owner, new.owner),
    )
    for rule, before, after in plain:
        if before != after:
            yield Difference(RULES[rule], old.name, "", _shown(before), _shown(after))
    never = float("inf")
    drift, lines = ON_DRIFT.index, (was.max_line_bytes, now.max_line_bytes)
    hours = (old.freshness_hours, new.freshness_hours)
    stale = [never if each is None else each for each in hours]
    ordered: tuple[tuple[str, str, float, float, Any, Any], ...] = (
        ("drift_loosened", "drift_tightened", drift(was.on_drift), drift(now.on_drift),
         was.on_drift, now.on_drift),
        ("line_limit_lowered", "line_limit_raised", *lines, *lines),
        ("freshness_tightened", "freshness_loosened", stale[0], stale[1], *hours),
    )  # fmt: skip
    for less, more, before, after, said, says in ordered:
        if before != after:
            rule = more if after > before else less
            yield Difference(RULES[rule], old.name, "", _shown(said), _shown(says))


def _of_column(
    entity: str, old: PromisedColumn, new: PromisedColumn, is_key: bool, today: date
) -> Iterator[Difference]:
    def differs(rule: str, was: Any = "", now: Any = "") -> Difference:
        return Difference(RULES[rule], entity, new.name, _shown(was), _shown(now))

    if old.data_type != new.data_type:
        yield differs(_type_rule(old.data_type, new.data_type), old.data_type, new.data_type)
    if old.is_required and not new.is_required:
        yield differs("required_relaxed_key" if is_key else "required_relaxed")
    if new.is_required and not old.is_required:
        yield differs("required_tightened")
    for alias in (each for each in new.aliases if each not in old.aliases):
        yield differs("alias_added", "", alias)
    for alias in (each for each in old.aliases if each not in new.aliases):
        yield differs("alias_removed", alias, "")
    yield from _classified(old, new, differs)
    if old.deprecated_on != new.deprecated_on:
        rule = _deprecation_rule(old.deprecated_on, new.deprecated_on, today)
        yield differs(rule, old.deprecated_on, new.deprecated_on)


def _classified(
    old: PromisedColumn, new: PromisedColumn, differs: Callable[[str, Any, Any], Difference]
) -> Iterator[Difference]:
    """The column's own, and that of each field that is marked otherwise."""
    before, after = dict(old.fields), dict(new.fields)
    for field in ("", *sorted({*before, *after})):
        was = before.get(field, old.classification)
        now = after.get(field, new.classification)
        if rank(was) != rank(now):
            rule = "classification_raised" if rank(now) > rank(was) else "classification_lowered"
            prefix = f"{field}: " if field else ""
            yield differs(rule, f"{prefix}{was}", now)


def _dropped(entity: str, column: PromisedColumn, today: date) -> Difference:
    announced = column.deprecated_on
    rule = "column_dropped"
    if announced is not None:
        rule = "column_dropped_deprecated" if announced <= today else "column_dropped_early"
    return Difference(RULES[rule], entity, column.name, _shown(announced), "")


def _type_rule(old: str, new: str) -> str:
    if _size(old) is None or _size(new) is None:
        return "type_changed"
    return "type_widened" if is_widened(old, new) else "type_narrowed"


def is_widened(old: str, new: str) -> bool:
    """Does every value of the one type fit into the other?"""
    before, after = _size(old), _size(new)
    if before is None or after is None:
        return False
    return after[0] >= before[0] and after[1] >= before[1]


def _size(data_type: str) -> tuple[int, int] | None:
    """Digits before and after the point."""
    decimal = _DECIMAL.fullmatch(data_type)
    if decimal:
        digits, scale = int(decimal.group(1)), int(decimal.group(2))
        return digits - scale, scale
    return _DIGITS.get(data_type)


def _deprecation_rule(old: date | None, new: date | None, today: date) -> str:
    if new is None or (old is not None and new > old):
        return "deprecation_postponed"
    if new <= today:
        return "deprecation_too_late"
    return "deprecation_announced" if old is None else "deprecation_hastened"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
