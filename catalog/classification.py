"""Classification along lineage: no column may be called less than what reaches it.

public < internal < confidential < personal. It is declared at the sources' columns; a column of a
model is at least what reaches it, unless an anonymising macro stands between, and may be declared
higher. A declaration that is lower than what reaches the column is refused, with the path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from catalog import anonymising
from catalog.catalog import Catalog, Column, Dataset
from catalog.lineage import Flow, Lineage, expression_of
from catalog.taint import STRENGTH, UNKNOWN, How, Ref

LEVELS: Final = ("public", "internal", "confidential", "personal")
PERSONAL: Final = "personal"
PLATFORM_COLUMNS: Final = frozenset({"_batch_id", "_source_file", "_row_number", "_loaded_at"})


@dataclass(frozen=True)
class Step:
    """One hop of a path: a column, the file that says what it is, how it reaches the last one."""

    ref: Ref
    file: str
    how: How | None = None

    def __str__(self) -> str:
        told = f"{self.ref} ({self.file})" if self.file else str(self.ref)
        return f"{told}, which decides about its rows" if self.how == "condition" else told


@dataclass(frozen=True)
class Leak:
    """A column that is declared lower than what reaches it, and the way there."""

    dataset: str
    column: str
    declared: str
    reaches: str
    path: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        way = " ← ".join(str(each) for each in self.path)
        noted = "".join(f"; {each}" for each in self.notes)
        return (
            f"{self.column} is declared {self.declared}, and what reaches it is {self.reaches}: "
            f"{way}{noted}"
        )

    @property
    def remedy(self) -> str:
        return (
            f"Declare it `classification: {self.reaches}`, anonymise it with a macro of "
            "macros_lib (anonymise_hash, anonymise_truncate, anonymise_aggregate), or leave it out."
        )


def personal_columns(dataset: Dataset) -> tuple[str, ...]:
    """Those declared personal: masked wherever the dataset is published."""
    return tuple(each.name for each in dataset.columns if each.classification == PERSONAL)


def rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


@dataclass
class Classification:
    """What each column really is: the highest of what is declared and what reaches it."""

    catalog: Catalog
    lineage: Lineage
    _known: dict[Ref, str] = field(default_factory=dict)

    def of(self, dataset: str, column: str) -> str:
        return self._of(Ref(dataset, column.lower()))

    def reaching(self, dataset: str, column: str) -> str:
        """The highest of what reaches a model's column, whatever it is declared as."""
        levels = (level for _, level in self._around(dataset, column))
        return max(levels, key=rank, default="public")

    def path(self, dataset: str, column: str) -> tuple[Step, ...]:
        """From a column back to where its classification comes from, the plainest way."""
        ref, how = Ref(dataset, column), None
        steps = [self._step(ref, how)]
        while ref.dataset in self.lineage:
            worst = self.reaching(ref.dataset, ref.column)
            around = self.lineage[ref.dataset].of(ref.column)
            levels = self._around(ref.dataset, ref.column)
            able = [each for each, level in levels if level == worst and each != ref]
            if not able or len(steps) > len(self.catalog.datasets):
                break
            ref = max(able, key=lambda each: (STRENGTH[around[each]], str(each)))
            steps.append(self._step(ref, around[ref]))
            reaching = self.reaching(ref.dataset, ref.column)
            if rank(self._declared(ref) or "public") > rank(reaching):
                break
        return tuple(steps)

    def expression(self, dataset: str, sql: str, dialect: str) -> tuple[str, tuple[Step, ...]]:
        """What an expression over a table's columns is, and the way to where it comes from."""
        found = [(self._of(ref), ref) for ref in expression_of(self.catalog[dataset], sql, dialect)]
        level, ref = max(found, key=lambda each: rank(each[0]), default=("public", None))
        return level, () if ref is None else self.path(ref.dataset, ref.column)

    def leaks(self) -> Iterator[Leak]:
        for key, flow in self.lineage.items():
            for column in _columns(self.catalog[key], flow):
                declared = self._declared(Ref(key, column)) or "internal"
                reaches = self.reaching(key, column)
                if rank(declared) < rank(reaches):
                    yield Leak(key, column, declared, reaches, self.path(key, column), flow.notes)

    def _around(self, dataset: str, column: str) -> Iterator[tuple[Ref, str]]:
        """Which row there is tells of a person; of an amount it tells next to nothing."""
        flow = self.lineage.get(dataset)
        for ref, how in flow.of(column).items() if flow is not None else ():
            level = self._of(ref)
            if how != "condition" or level == PERSONAL:
                yield ref, level

    def _of(self, ref: Ref) -> str:
        if ref not in self._known:
            # While it is being found: a table that reads itself adds nothing to what it is.
            self._known[ref] = "public"
            self._known[ref] = self._found(ref)
        return self._known[ref]

    def _found(self, ref: Ref) -> str:
        if ref.dataset == UNKNOWN:
            return PERSONAL
        declared = self._declared(ref)
        if ref.dataset not in self.lineage:
            return declared or self._unmarked(ref)
        reaching = self.reaching(ref.dataset, ref.column)
        return max(declared or "public", reaching, key=rank)

    def _declared(self, ref: Ref) -> str | None:
        dataset = self.catalog.datasets.get(ref.dataset)
        column = _column(dataset, ref.column)
        if column is None:
            return None
        return column.fields.get(ref.field, column.classification)

    def _unmarked(self, ref: Ref) -> str:
        """Of a source or seed, a column that nobody has declared."""
        dataset = self.catalog[ref.dataset]
        if dataset.layer == "seeds":
            return dataset.classification
        return "internal" if ref.column in PLATFORM_COLUMNS else PERSONAL

    def _step(self, ref: Ref, how: How | None) -> Step:
        dataset = self.catalog.datasets.get(ref.dataset)
        if dataset is None:
            return Step(ref, "", how)
        return Step(ref, str(PurePosixPath("dbt_project") / dataset.path), how)


def problems(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Words that nobody knows, and datasets that are called less than a column of theirs."""
    yield from anonymising.problems(catalog.manifest)
    for key, dataset in catalog.datasets.items():
        said = [("it", dataset.classification)]
        for column in dataset.columns:
            said.append((column.name, column.classification))
            said.extend((f"{column.name}.{each}", it) for each, it in column.fields.items())
        for name, level in said:
            if level not in LEVELS:
                yield key, f"{name} is classified `{level}`, which is none of {', '.join(LEVELS)}"
        highest = max((each.classification for each in dataset.columns), key=rank, default="public")
        if dataset.is_public and rank(dataset.classification) < rank(highest):
            yield key, f"it is classified {dataset.classification}, a column of it {highest}"


def _columns(dataset: Dataset, flow: Flow) -> Iterator[str]:
    yield from dict.fromkeys([*(each.name.lower() for each in dataset.columns), *flow.columns])


def _column(dataset: Dataset | None, name: str) -> Column | None:
    if dataset is None:
        return None
    return next((each for each in dataset.columns if each.name.lower() == name), None)
