"""What reaches a column: which columns of which datasets, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

How = Literal["condition", "same", "value"]
"""`same`: passed on as it is; `value`: something is made of it; `condition`: it decides about rows
(a filter, a join, an order, a group), so that whoever sees the rows learns something of it."""

STRENGTH: Final[Mapping[How, int]] = {"condition": 0, "same": 1, "value": 2}
UNKNOWN: Final = "?"


@dataclass(frozen=True, order=True)
class Ref:
    """A column of a dataset, or one field of the object in it.

    Of a dataset that nobody knows (UNKNOWN), the column says what could not be followed.
    """

    dataset: str
    column: str
    field: str = ""

    def __str__(self) -> str:
        name = f"{self.column}.{self.field}" if self.field else self.column
        return name if self.dataset == UNKNOWN else f"{self.dataset}.{name}"


Taint = Mapping[Ref, How]
NOTHING: Final[Taint] = {}


def joined(taints: Iterable[Taint]) -> Taint:
    """All of them; where one reaches in several ways, the strongest counts."""
    found: dict[Ref, How] = {}
    for taint in taints:
        for ref, how in taint.items():
            known = found.get(ref)
            if known is None or STRENGTH[how] > STRENGTH[known]:
                found[ref] = how
    return found


def derived(taint: Taint) -> Taint:
    return {ref: "value" if how == "same" else how for ref, how in taint.items()}


def deciding(taint: Taint) -> Taint:
    return dict.fromkeys(taint, "condition")


def field_of(taint: Taint, field: str) -> Taint:
    """One field of an object: of a column that came here unchanged, only that field of it."""
    return {
        Ref(ref.dataset, ref.column, field) if how == "same" and not ref.field else ref: (
            "value" if how == "same" else how
        )
        for ref, how in taint.items()
    }
