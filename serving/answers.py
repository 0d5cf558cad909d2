"""A question's answer, and what is said when there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from warehouse import words
from warehouse.errors import WRONG_USE, SluiceError

PUBLISHED = "published"
"""The schema that readers see; an environment may set its prefix before it."""


class QueryError(SluiceError):
    """A question that the published snapshot cannot answer, and why: ask otherwise."""

    exit_code = WRONG_USE


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
    """The known names most like this one: close in spelling, else sharing a word with it."""
    names = sorted(set(known))
    close = words.nearest(name, names, count)
    parts = {word for word in re.split(r"[_.\s]+", name.lower()) if len(word) > 2}
    sharing = [each for each in names if parts & set(re.split(r"[_.]+", each))]
    return tuple(close or sharing[:count])


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
    schema, _, bare = name.strip('"').rpartition(".")
    if schema.isidentifier() and not schema.endswith(PUBLISHED):
        return not_published(schema, bare, known)
    close = nearest(bare, known)
    return QueryError(
        f"There is no published table {bare}.",
        remedy=(f"Did you mean {' or '.join(close)}? " if close else "")
        + "`show tables` lists the published tables.",
    )


def not_published(schema: str, table: str, known: Iterable[str]) -> QueryError:
    """What stands in another schema than the published one is the workshop's."""
    raw = re.search(r"(?:^|_)raw_(\w+)$", schema)
    close = nearest(table, known)
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    if raw and raw[1] == "ledger":
        return QueryError(
            f"{schema} holds the loader's books, and is not published.",
            remedy="`sluice quarantine list` shows what was not understood, `sluice status` more.",
        )
    if raw:
        return QueryError(
            f"{schema} holds rows as they were received, and is not published.",
            remedy=f"{meant}`sluice quarantine show {raw[1]}` shows rows that were not understood, "
            f"`sluice gate show raw.{raw[1]}.{table or '<entity>'}` what its checks saw of the "
            "others.",
        )
    return QueryError(
        f"{schema} is not published.",
        remedy=f"{meant}Published tables are named without a schema; `show tables` lists them.",
    )


def misunderstood(plain: str, candidates: Iterable[str], place: str = "") -> QueryError:
    named = " or ".join(candidates)
    return QueryError(
        f"The query cannot be answered: {plain.rstrip('!.')}.{place}",
        remedy=f"Did you mean {named}?"
        if named
        else "`describe <table>` shows the columns and types of a table.",
    )
