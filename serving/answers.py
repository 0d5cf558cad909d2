"""A question's answer, and what is said when there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from warehouse import words
from warehouse.errors import SluiceError


class QueryError(SluiceError):
    """A question that the published snapshot cannot answer, and why."""


@dataclass(frozen=True)
class Answer:
    """Rows of one question; `is_cut` when the limit left some out."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_cut: bool = False

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The known names most like this one: close in spelling, or sharing a word with it."""
    names = sorted(set(known))
    close = words.nearest(name, names, count)
    parts = {word for word in re.split(r"[_.\s]+", name.lower()) if len(word) > 2}
    sharing = [each for each in names if parts & set(re.split(r"[_.]+", each))]
    return tuple(dict.fromkeys([*close, *sharing]))[:count]


def empty() -> QueryError:
    return QueryError("The query is empty.", remedy='For example: sluice query "show tables".')


def too_many(count: int) -> QueryError:
    return QueryError(
        f"The query holds {count} statements; one is answered at a time.",
        remedy="Send each statement on its own.",
    )


def no_read(kind: str) -> QueryError:
    return QueryError(
        f"The published snapshot is only read: `{kind.lower()}` is not possible on it.",
        remedy="Ask with select, show tables, describe <table> or explain; "
        "what is published changes through models and `sluice run`.",
    )


def unknown_table(name: str, known: Iterable[str]) -> QueryError:
    bare = name.strip('"').rpartition(".")[2]
    close = nearest(bare, known)
    return QueryError(
        f"There is no published table {bare}.",
        remedy=(f"Did you mean {' or '.join(close)}? " if close else "")
        + "`show tables` lists the published tables.",
    )


def misunderstood(plain: str, candidates: Iterable[str], place: str = "") -> QueryError:
    named = " or ".join(candidates)
    return QueryError(
        f"The query cannot be answered: {plain.rstrip('!.')}.{place}",
        remedy=f"Did you mean {named}?"
        if named
        else "`describe <table>` shows the columns and types of a table.",
    )
