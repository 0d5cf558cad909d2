"""Accidents on demand, for tours and tests: one delivery goes wrong, and how it is put right.

A broken file repeats records of the last days, so that the company's books stay what they are;
only a stale source holds facts back, which enter the books when it catches up.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ingestion.simulator.defects import SPOILED, recorded, spoil
from ingestion.simulator.delivery import EXTRA_BATCH, Delivered, Landing, file_path
from ingestion.simulator.records import ENTITIES, extension
from ingestion.simulator.render import header
from ingestion.simulator.scale import calendar_day
from ingestion.simulator.state import State
from warehouse.errors import SluiceError

Record = dict[str, Any]


@dataclass(frozen=True)
class Accident:
    """What can go wrong, and what the platform should make of it."""

    entity: str
    what: str
    mended_by: str


ACCIDENTS: Final = {
    "missing-column": Accident(
        "billing.invoices", "a file without the column `currency`", "the same file, whole"
    ),
    "truncated-file": Accident(
        "billing.payments", "a file whose last line is cut", "the same batch, whole"
    ),
    "bad-rows": Accident(
        "billing.payments", "a file half of whose rows cannot be read", "the same rows, right"
    ),
    "empty-file": Accident("billing.invoices", "a file of no bytes", "the file that was meant"),
    "wrong-encoding": Accident(
        "crm.leads", "a file in Latin-1 instead of UTF-8", "the same file in UTF-8"
    ),
    "implausible-amounts": Accident(
        "billing.payments",
        "newer versions of payments with amounts a thousand times too high",
        "still newer versions with the right amounts",
    ),
    "stale-source": Accident(
        "events.events", "one more day without any event", "the events that were held back"
    ),
}
_LOOK_BACK, _AT_LEAST_DAYS = 90, 7


@dataclass(frozen=True)
class Broken:
    """One landed accident, or its mending."""

    kind: str
    entity: str
    what: str
    files: tuple[str, ...]
    row_count: int


def land_broken(state: State, landing: Landing, kind: str) -> Broken:
    """Land one more file on the last day, broken in this way."""
    accident, day = ACCIDENTS[kind], state.last_day
    entity = accident.entity
    rows = _recent(landing, entity, day, needs_accent=kind == "wrong-encoding")
    if kind == "implausible-amounts":
        rows = _latest([row for row in rows if row["status"] == "succeeded"], "payment_id")
    if not rows:
        raise SluiceError(
            f"The sample company has sent nothing to {entity} yet that could be broken.",
            remedy="Play some more days first.",
        )
    batch = _free_batch(landing, entity, day)
    content, counts = _broken(state, kind, entity, day, rows)
    path = file_path(entity, day, batch)
    landing.write(path, [content])
    for name, count in counts.items():
        recorded(state.ledger["defects"], ENTITIES.index(entity), day, batch, name, count)
    state.injections.append({"kind": kind, "files": [path], "rows": rows, "is_mended": False})
    return Broken(kind, entity, accident.what, (path,), len(rows))


def land_mended(state: State, landing: Landing, injection: dict[str, Any]) -> Broken:
    """Land what puts an accident right; landed files never change, so it is one more file."""
    kind, day = injection["kind"], state.last_day
    accident = ACCIDENTS[kind]
    entity = accident.entity
    injection["is_mended"] = True
    if kind == "stale-source":
        delivered = Delivered()
        state.courier.catch_up(entity, day, landing, delivered)
        return Broken(
            kind, entity, accident.mended_by, tuple(delivered.paths), delivered.rows.get(entity, 0)
        )
    rows: list[Record] = injection.pop("rows")
    if kind == "implausible-amounts":
        rows = [row | {"updated_at": _moment(state, 1)} for row in rows]
    batch = _free_batch(landing, entity, day)
    path = file_path(entity, day, batch)
    landing.write(path, [_lines(entity, day, rows)])
    recorded(state.ledger["defects"], ENTITIES.index(entity), day, batch, "resent", len(rows))
    return Broken(kind, entity, accident.mended_by, (path,), len(rows))


def _broken(
    state: State, kind: str, entity: str, day: int, rows: list[Record]
) -> tuple[bytes, dict[str, int]]:
    """The file's bytes, and how many rows are wrong in which way."""
    whole = _lines(entity, day, rows)
    match kind:
        case "missing-column":
            left = [{k: v for k, v in row.items() if k != "currency"} for row in rows]
            return _lines(entity, day, left), {"missing_column": len(rows)}
        case "truncated-file":
            last = whole.splitlines(keepends=True)[-1]
            return whole[: -(len(last) // 2 + 1)], {"truncated": 1}
        case "bad-rows":
            return _half_bad(entity, whole.splitlines(keepends=True))
        case "empty-file":
            return b"", {"empty_file": 1}
        case "wrong-encoding":
            return whole.decode().encode("latin-1"), {"wrong_encoding": len(rows)}
        case _:
            wrong = [
                row | {"amount": _thousandfold(row["amount"]), "updated_at": _moment(state, 0)}
                for row in rows
            ]
            return _lines(entity, day, wrong), {"implausible_amount": len(rows)}


def _half_bad(entity: str, lines: list[bytes]) -> tuple[bytes, dict[str, int]]:
    kinds = [*SPOILED[entity].kinds, "not_json"]
    counts: dict[str, int] = {}
    for number in range(0, len(lines), 2):
        kind = kinds[number // 2 % len(kinds)]
        lines[number] = spoil(entity, kind, lines[number], b"")
        counts[kind] = counts.get(kind, 0) + 1
    return b"".join(lines), counts


def _thousandfold(amount: str) -> str:
    return f"{amount.replace('.', '')}0.00"


def _moment(state: State, step: int) -> str:
    """An instant late on the last day, after every version before."""
    minute = 2 * len(state.injections) % 58 + step
    return f"{calendar_day(state.last_day).isoformat()}T23:{minute:02d}:30.000Z"


def _free_batch(landing: Landing, entity: str, day: int) -> int:
    batch = EXTRA_BATCH
    while landing.exists(file_path(entity, day, batch)):
        batch += 1
    return batch


def _recent(landing: Landing, entity: str, day: int, *, needs_accent: bool) -> list[Record]:
    """The right rows of the last week's files, or of more when there were none."""
    rows: list[Record] = []
    for age in range(min(_LOOK_BACK, day + 1)):
        path = file_path(entity, day - age, 1)
        if landing.exists(path):
            rows += _right_rows(entity, landing.read(path))
        enough = any(not str(row).isascii() for row in rows) if needs_accent else bool(rows)
        if age + 1 >= _AT_LEAST_DAYS and enough:
            return rows
    return [] if needs_accent else rows


def _right_rows(entity: str, content: bytes) -> Iterator[Record]:
    for row in _parsed(entity, content):
        if _is_right(SPOILED[entity].timestamp, row) and all(
            row.get(name) for name in (SPOILED[entity].required, SPOILED[entity].timestamp)
        ):
            yield row


def _parsed(entity: str, content: bytes) -> Iterator[Record]:
    if extension(entity) == "csv":
        for row in csv.DictReader(io.StringIO(content.decode())):
            row["company_name"] = row.pop("company", row.get("company_name"))
            yield row
        return
    for line in content.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _is_right(timestamp: str, row: Record) -> bool:
    amounts = [value for name, value in row.items() if name.endswith("amount")]
    try:
        datetime.fromisoformat(row[timestamp])
        for amount in amounts:
            float(amount)
    except (ValueError, TypeError, KeyError):
        return False
    return True


def _latest(rows: list[Record], key: str) -> list[Record]:
    return list({row[key]: row for row in rows}.values())


def _lines(entity: str, day: int, rows: list[Record]) -> bytes:
    if extension(entity) == "jsonl":
        return b"".join(
            json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            for row in rows
        )
    first_line = header(entity, day)
    names = first_line.decode().strip().split(",")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        record = row | {"company": row["company_name"]}
        writer.writerow([record[name] for name in names])
    return first_line + out.getvalue().encode()
