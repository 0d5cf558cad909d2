"""What each role sees of a published table, as the policy says it: the words that rooms share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Shown = Literal["clear", "masked", "hidden"]


@dataclass(frozen=True)
class Audience:
    """One role and one table: each column, and which rows (empty: all of them).

    `writes`: the platform itself, which no right is given to and no row kept from.
    """

    role: str
    shown: Mapping[str, Shown]
    rows: str = ""
    writes: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name, shown in self.shown.items() if shown != "hidden")
