"""What the names of a query stand for while it is read: relations, their columns, aliases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from catalog.taint import NOTHING, Taint, deciding, derived, field_of, joined

UNNAMED = "?"
"""Begins the name of a column that the engine names as it likes."""


@dataclass(frozen=True)
class Relation:
    """A table or query: its columns in order, and what decides which rows it has.

    `rest` is what reaches columns whose names cannot be known (`columns(*)`, a pivot): any name may
    be one of them.
    """

    columns: tuple[tuple[str, Taint], ...] = ()
    rest: Taint | None = None
    rows: Taint = field(default_factory=dict)

    @property
    def everything(self) -> Taint:
        return joined([*(taint for _, taint in self.columns), self.rest or NOTHING])

    def named(self, name: str) -> Taint | None:
        """What reaches the column of that name; None if there is none."""
        found = [taint for known, taint in self.columns if known == name]
        if self.rest is not None:
            found.append(self.rest)
        return joined(found) if found else None

    @property
    def unnamed(self) -> Taint | None:
        found = [taint for known, taint in self.columns if known.startswith(UNNAMED)]
        return joined(found) if found else None

    def renamed(self, names: Sequence[str]) -> Relation:
        """`as t(a, b)`: by position, as far as positions are known."""
        if not names:
            return self
        if self.rest is not None:
            everything = self.everything
            return Relation(tuple((each, everything) for each in names), everything, self.rows)
        kept = self.columns[len(names) :]
        pairs = zip(names, (taint for _, taint in self.columns), strict=False)
        return Relation((*pairs, *kept), None, self.rows)


@dataclass
class Scope:
    """Names within one select: its relations, its own aliases, and what lies around it."""

    parent: Scope | None
    ctes: Mapping[str, Relation]
    relations: dict[str, Relation] = field(default_factory=dict)
    aliases: dict[str, Taint] = field(default_factory=dict)
    windows: Taint = field(default_factory=dict)
    bound: frozenset[str] = frozenset()

    @property
    def everything(self) -> Taint:
        """All that a select could see, and of the selects around it."""
        here = [each.everything for each in self.relations.values()]
        return joined([*here, self.parent.everything if self.parent else NOTHING])

    def cte(self, name: str) -> Relation | None:
        if name in self.ctes:
            return self.ctes[name]
        return self.parent.cte(name) if self.parent else None

    def lookup(self, parts: Sequence[str]) -> Taint | None:
        """A name as written (`t.c`, `c`, `schema.t.c`, `c.field`); None if nothing is called so."""
        if parts[0] in self.bound:
            return NOTHING
        certain = [*self._columns(parts), *self._own(parts)]
        if certain:
            return joined(certain)
        if parts[0] in self.relations:
            return derived(self.relations[parts[0]].everything)
        around = self.parent.lookup(parts) if self.parent else None
        perhaps = [each.unnamed for each in self.relations.values() if each.unnamed is not None]
        if not perhaps:
            return around
        return joined([*perhaps, around or NOTHING])

    def _columns(self, parts: Sequence[str]) -> Iterator[Taint]:
        for index, name in enumerate(parts[:-1]):
            relation = self.relations.get(name)
            taint = relation.named(parts[index + 1]) if relation is not None else None
            if taint is not None:
                yield _within(taint, parts[index + 2 :])
        for relation in self.relations.values():
            taint = relation.named(parts[0])
            if taint is not None:
                yield _within(taint, parts[1:])

    def _own(self, parts: Sequence[str]) -> Iterator[Taint]:
        if parts[0] in self.aliases:
            yield _within(self.aliases[parts[0]], parts[1:])


def _within(taint: Taint, fields: Sequence[str]) -> Taint:
    return field_of(taint, fields[0]) if fields else taint


def united(relations: Iterable[Relation]) -> Relation:
    """Side by side, as a join has them: their columns, and what decides about their rows."""
    columns: list[tuple[str, Taint]] = []
    rest: list[Taint] = []
    rows: list[Taint] = []
    for each in relations:
        columns.extend(each.columns)
        if each.rest is not None:
            rest.append(each.rest)
        rows.append(each.rows)
    return Relation(_once(columns), joined(rest) if rest else None, deciding(joined(rows)))


def _once(columns: Sequence[tuple[str, Taint]]) -> tuple[tuple[str, Taint], ...]:
    """A name that stands twice stays with all that reaches it; the engine calls the second `_1`."""
    found: dict[str, Taint] = {}
    for name, taint in columns:
        if name in found:
            found[name] = joined([found[name], taint])
            found[f"{name}_1"] = found[name]
        else:
            found[name] = taint
    return tuple(found.items())
