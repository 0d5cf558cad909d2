"""A new model planned: its layer by its name, its columns and its key by its parents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from catalog.catalog import TOUCHED_PARTITIONS, Catalog, Column, Dataset
from catalog.classification import rank
from catalog.keys import key as tested_key
from warehouse.errors import SluiceError

CURATED: Final = re.compile(r"(dim|fct)_[a-z][a-z0-9_]*")
MART: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
# What a layer may read, from the nearest.
READS: Final = {
    "curated": ("staging", "curated", "seeds"),
    "marts": ("curated", "marts", "seeds"),
}


@dataclass(frozen=True)
class Parent:
    """A dataset that is read: by what it is joined to the first, and what is taken of it."""

    dataset: Dataset
    columns: tuple[Column, ...]
    alias: str
    joined_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blueprint:
    name: str
    layer: str
    subject: str
    grain: str
    owner: str
    tier: int
    key: tuple[str, ...]
    parents: tuple[Parent, ...]
    by_day: str = ""
    is_public: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(column for parent in self.parents for column in parent.columns)

    @property
    def classification(self) -> str:
        return max((each.classification for each in self.columns), key=rank, default="internal")

    @property
    def place(self) -> PurePosixPath:
        """Without its ending."""
        models = PurePosixPath("dbt_project/models")
        return models / self.layer / self.subject / self.name

    def as_dataset(self) -> Dataset:
        """As the catalog will know it."""
        first = self.parents[0].dataset
        return replace(
            first,
            key=f"{self.layer}.{self.name}",
            unique_id=f"model.sluice.{self.name}",
            layer=self.layer,
            schema=self.layer,
            name=self.name,
            description=self.grain,
            owner=self.owner,
            tier=self.tier,
            classification=self.classification,
            columns=self.columns,
            meta={},
            is_public=self.is_public,
            parents=tuple(each.dataset.key for each in self.parents),
        )


def plan(
    catalog: Catalog,
    name: str,
    parents: Sequence[str],
    *,
    grain: str = "",
    key: Sequence[str] = (),
    subject: str = "",
    owner: str = "",
    tier: int = 0,
    by_day: str = "",
    is_public: bool = False,
) -> Blueprint:
    """What is not said is taken from the first parent, whose rows it has."""
    layer = layer_of(name)
    if catalog.named(name) is not None:
        raise SluiceError(f"{name} exists already; nothing was written.", remedy="Take another.")
    read = _parents(catalog, layer, parents)
    first = read[0].dataset
    wanted = tuple(key) or tested_key(catalog, first)
    names = [column.name for parent in read for column in parent.columns]
    lost = [each for each in (*wanted, *([by_day] if by_day else ())) if each not in names]
    if lost or not wanted:
        what = f"There is no column {', '.join(lost)}." if lost else f"{first.name} has no key."
        raise SluiceError(what, remedy=f"Name a key with --key; there are: {', '.join(names)}.")
    if by_day and (first.materialized, first.partition_by) != (TOUCHED_PARTITIONS, by_day):
        days = f"by {first.partition_by}" if first.partition_by else "in no days"
        raise SluiceError(
            f"{first.name} is built {days}: what changes on a day of {by_day} is not known.",
            remedy="Leave --by-day out, or read a model that is built by this day "
            "(macros_lib/README.md).",
        )
    return Blueprint(
        name,
        layer,
        subject or _subject(name, layer, first),
        grain or _grain(first, tuple(key), wanted),
        owner or first.owner or "data",
        tier or first.tier,
        wanted,
        read,
        by_day,
        is_public or layer == "marts",
    )


def layer_of(name: str) -> str:
    """By the rules for names."""
    if name.startswith("stg_"):
        raise SluiceError(
            f"{name} would be a staging model.",
            remedy="`sluice new source` writes it, with the contract that it belongs to.",
        )
    if CURATED.fullmatch(name):
        return "curated"
    if MART.fullmatch(name) and not name.startswith(("dim_", "fct_", "raw_")):
        return "marts"
    raise SluiceError(
        f"{name!r} is no name of a model.",
        remedy="dim_<entities>, fct_<processes>, or for a mart <domain>_<noun>_<grain>: "
        "docs/analysts.md.",
    )


def _parents(catalog: Catalog, layer: str, names: Sequence[str]) -> tuple[Parent, ...]:
    found: list[Parent] = []
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        dataset = catalog.find(name)
        if dataset.layer not in READS[layer]:
            raise SluiceError(
                f"{dataset.key} is not for {layer}.",
                remedy=f"{layer} reads {' and '.join(READS[layer][:2])} (docs/analysts.md).",
            )
        joined_by = _joined_by(catalog, dataset, found[0].dataset) if found else ()
        columns = tuple(each for each in dataset.columns if each.name not in taken)
        _refuse_untyped(dataset, columns)
        taken |= {each.name for each in columns}
        word = _word(dataset)
        is_free = word not in {each.alias for each in found}
        found.append(Parent(dataset, columns, word if is_free else dataset.name, joined_by))
    if not found:
        raise SluiceError("It reads nothing.", remedy="Name its parents with --from.")
    return tuple(found)


def _word(dataset: Dataset) -> str:
    """The entity's: stg_billing__invoices, fct_invoices → invoices."""
    name = dataset.name.partition("__")[2] or dataset.name
    return re.sub(r"^(dim|fct|stg)_", "", name)


def _joined_by(catalog: Catalog, dataset: Dataset, first: Dataset) -> tuple[str, ...]:
    """Its key, which the first must have: so that no row is lost, and none is there twice."""
    key, there = tested_key(catalog, dataset), {each.name for each in first.columns}
    if not key or not set(key) <= there:
        raise SluiceError(
            f"{dataset.name} cannot be joined by itself: {first.name} has not its key "
            f"({', '.join(key) or 'none is tested'}).",
            remedy="Begin with the other parents, and write this join by hand.",
        )
    return key


def _refuse_untyped(dataset: Dataset, columns: Sequence[Column]) -> None:
    untyped = [each.name for each in columns if not each.data_type]
    if untyped or not dataset.columns:
        raise SluiceError(
            f"{dataset.key} does not say what {', '.join(untyped) or 'its columns'} are.",
            remedy=f"Give each column its data_type in the YAML beside {dataset.path}.",
        )


def _subject(name: str, layer: str, first: Dataset) -> str:
    if layer == "marts":
        return name.split("_")[0]
    return first.subject if first.layer != "seeds" else Path(first.path).stem


def _grain(first: Dataset, asked: tuple[str, ...], key: tuple[str, ...]) -> str:
    """That of the first parent; with a key of one's own, by that."""
    said = first.description.split(": ")[0].split(". ")[0].rstrip(".")
    if said.startswith("One row per") and not asked:
        return f"{said}."
    *others, last = key
    words = f"{', '.join(others)} and {last}" if others else last
    return f"One row per {words} of {first.name}."
