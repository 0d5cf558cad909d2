"""What goes wrong on the way, at known rates, and the record of it."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingestion.simulator.chance import happens
from ingestion.simulator.records import COPY, FRESH, HELD, REPAIR
from ingestion.simulator.roll import Roll
from ingestion.simulator.scale import (
    COMPANY_NAME_DAY,
    PURCHASE_ORDER_DAY,
    Array,
    Ints,
    day_start,
)

DUPLICATED, HELD_BACK = 0.01, 0.005
KINDS: Final = [
    "duplicate", "out_of_order", "late", "clock_skew", "repaired", "resent", "added_column",
    "renamed_column", "truncated", "bad_timestamp", "bad_amount", "missing_value", "not_json",
    "missing_column", "empty_file", "wrong_encoding", "implausible_amount",
]  # fmt: skip
# These rows (and only these) end in quarantine.
QUARANTINED: Final = ("truncated", "bad_timestamp", "bad_amount", "missing_value", "not_json")
DEFECTS_LOG: Final = {
    "entity": ("u1", 0), "day": ("i4", 0), "batch": ("i4", 0), "kind": ("u1", 0),
    "rows": ("i8", 0),
}  # fmt: skip


@dataclass(frozen=True)
class Spoiling:
    """How often an entity's rows come broken, and which fields break."""

    rate: float
    timestamp: str
    required: str
    amount: str = ""

    @property
    def kinds(self) -> list[str]:
        amount = ["bad_amount"] if self.amount else []
        return ["bad_timestamp", "missing_value", *amount]


SPOILED: Final = {
    "billing.payments": Spoiling(0.006, "attempted_at", "invoice_id", "amount"),
    "billing.invoices": Spoiling(0.006, "issued_at", "customer_id", "total_amount"),
    "events.events": Spoiling(0.0006, "occurred_at", "user_id"),
    "crm.leads": Spoiling(0.006, "created_at", "channel"),
}
_NOT_A_TIME, _NOT_AN_AMOUNT = "2025-13-45T99:99:99Z", "12.3.4"


def hold_back(rng: np.random.Generator, entity: str, rows: Array, day: int) -> Array:
    """A few updates come a day after they happened, behind their successors."""
    if "op" in (rows.dtype.names or ()):
        later = rows["op"] == 1
    elif entity in {"billing.invoices", "billing.payments", "crm.leads"}:
        later = rows["version"] > 0
    else:
        return rows
    held = later & happens(rng, len(rows), HELD_BACK)
    rows["due"][held] = day + 1
    rows["mark"][held] = HELD
    return rows


def spoiled_kinds(rng: np.random.Generator, entity: str, rows: Array) -> Ints:
    """The defect kind of each row that comes broken; -1 where the row is right."""
    kinds = np.full(len(rows), -1)
    if entity not in SPOILED:
        return kinds
    spoiling = SPOILED[entity]
    bad = happens(rng, len(rows), spoiling.rate) & (rows["mark"] == FRESH)
    if entity == "events.events":
        bad &= ~rows["is_late"] & ~rows["is_skewed"]
    names = spoiling.kinds if entity == "crm.leads" else [*spoiling.kinds, "not_json"]
    codes = np.array([KINDS.index(name) for name in names])
    kinds[bad] = codes[rng.integers(0, len(codes), int(bad.sum()))]
    return kinds


def repairs(rng: np.random.Generator, rows: Array, kinds: Array, day: int) -> Array:
    """The right rows for those that came broken, one or two days later."""
    right = rows[kinds >= 0].copy()
    right["mark"] = REPAIR
    right["due"] = day + rng.integers(1, 3, len(right))
    return right


def duplicates(rng: np.random.Generator, rows: Array, kinds: Array, day: int) -> Array:
    """Second deliveries of one row in a hundred, half of them on a later day."""
    chosen = (kinds < 0) & (rows["mark"] != COPY) & happens(rng, len(rows), DUPLICATED)
    copies: Array = rows[chosen].copy()
    copies["mark"] = COPY
    later = happens(rng, len(copies), 0.5) * rng.integers(1, 4, len(copies))
    copies["due"] = day + later
    return copies


def spoil(entity: str, kind: str, line: bytes, header: bytes) -> bytes:
    """The line as it arrives when it comes broken (it still ends its line)."""
    spoiling = SPOILED[entity]
    if kind == "not_json":
        return line[: len(line) // 2] + b"\n"
    if kind == "missing_value":
        field, value = spoiling.required, ""
    elif kind == "bad_timestamp":
        field, value = spoiling.timestamp, _NOT_A_TIME
    else:
        field, value = spoiling.amount, _NOT_AN_AMOUNT
    return _with_value(line, header, field, value)


def _with_value(line: bytes, header: bytes, field: str, value: str) -> bytes:
    if header:
        names = header.decode().strip().split(",")
        cells = next(csv.reader([line.decode()]))
        cells[names.index(field)] = value
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerow(cells)
        return out.getvalue().encode()
    new = f'"{field}":"{value}"' if value else f'"{field}":null'
    return re.sub(f'"{field}":"[^"]*"', new, line.decode(), count=1).encode()


def recorded(log: Roll, entity: int, day: int, batch: int, kind: str, rows: int) -> None:
    if rows:
        log.append(1, entity=entity, day=day, batch=batch, kind=KINDS.index(kind), rows=rows)


def record_rows(
    log: Roll, entity: str, number: int, day: int, batch: int, rows: Array, kinds: Array
) -> None:
    """Count the defects of one file from the records in it."""
    marks = rows["mark"]
    counts = {
        "duplicate": marks == COPY,
        "out_of_order": marks == HELD,
        "repaired": marks == REPAIR,
    }
    if entity == "events.events":
        first = marks == FRESH
        counts["late"] = first & rows["is_late"]
        counts["clock_skew"] = first & rows["is_skewed"]
        counts["added_column"] = rows["experiment"] > 0
    elif entity == "billing.invoices":
        counts["added_column"] = rows["issued"] >= day_start(PURCHASE_ORDER_DAY)
    elif entity == "crm.leads" and day >= COMPANY_NAME_DAY:
        counts["renamed_column"] = np.ones(len(rows), bool)
    for kind, mask in counts.items():
        recorded(log, number, day, batch, kind, int(np.count_nonzero(mask)))
    for code in np.unique(kinds[kinds >= 0]).tolist():
        recorded(log, number, day, batch, KINDS[code], int(np.count_nonzero(kinds == code)))
