"""What the books say went wrong is what is wrong in the files: no more, no less."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from tests.ingestion.simulator.conftest import Played

Contents = Callable[[Path], dict[str, bytes]]
Files = dict[str, bytes]
REQUIRED = {
    "billing/payments": ("invoice_id", "attempted_at", "amount"),
    "billing/invoices": ("customer_id", "issued_at", "total_amount"),
    "events/events": ("user_id", "occurred_at"),
    "crm/leads": ("channel", "created_at"),
}
TWO_DAYS = timedelta(days=2)
QUARANTINED = {"truncated", "bad_timestamp", "bad_amount", "missing_value", "not_json"}


@pytest.fixture(scope="module")
def files(history: Played, contents: Contents) -> Files:
    landed = contents(history.landing)
    del landed["_clock.json"]
    return landed


@pytest.fixture(scope="module")
def recorded(history: Played) -> Counter[tuple[str, str]]:
    rows = duckdb.execute(
        f"select file, kind, row_count from '{history.books}/defects.parquet'"
    ).fetchall()
    assert len({(file, kind) for file, kind, _ in rows}) == len(rows)
    return Counter({(file, kind): count for file, kind, count in rows})


def entity_of(path: str) -> str:
    return "/".join(path.split("/")[:2])


def rows_of(path: str, content: bytes) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """Every row of a file as a record (None if it is none) with its text."""
    if path.endswith(".csv"):
        for record in csv.DictReader(io.StringIO(content.decode())):
            yield record, json.dumps(list(record.values()))
        return
    for line in content.decode().splitlines():
        try:
            yield json.loads(line), line
        except ValueError:
            yield None, line


def fault(entity: str, record: dict[str, Any] | None) -> str | None:
    if record is None:
        return "not_json"
    for name in REQUIRED.get(entity, ()):
        value = record[name]
        if not value:
            return "missing_value"
        if name.endswith("_at") and not re.fullmatch(r"\d{4}-[01]\d-[0-3]\dT[0-2].*Z", value):
            return "bad_timestamp"
        if name.endswith("amount") and not re.fullmatch(r"-?\d+\.\d\d", value):
            return "bad_amount"
    return None


def test_exactly_the_recorded_rows_cannot_be_understood(
    files: Files, recorded: Counter[tuple[str, str]]
) -> None:
    found: Counter[tuple[str, str]] = Counter()
    for path, content in files.items():
        for record, _ in rows_of(path, content):
            kind = fault(entity_of(path), record)
            if kind:
                found[path, kind] += 1
        if not content.endswith(b"\n"):
            found[path, "not_json"] -= 1
            found[path, "truncated"] += 1
    bad = {key: n for key, n in recorded.items() if key[1] in QUARANTINED}
    assert +found == bad
    assert {kind for _, kind in bad} == QUARANTINED
    cut = sorted(entity_of(path) for path, kind in bad if kind == "truncated")
    assert cut == ["billing/payments", "events/events"]


def test_what_was_sent_broken_is_sent_right_within_two_days(files: Files, history: Played) -> None:
    right: dict[str, list[date]] = {}
    broken: dict[str, date] = {}
    for path, content in files.items():
        if entity_of(path) != "billing/invoices":
            continue
        on = date.fromisoformat(path.split("/")[2])
        for record, line in rows_of(path, content):
            key = re.search(r'"invoice_id":"(inv_\d+)', line)
            assert key is not None
            if fault("billing/invoices", record):
                broken[key[1]] = on
            else:
                right.setdefault(key[1], []).append(on)
    due = {key: on for key, on in broken.items() if on <= history.summary.last_day - TWO_DAYS}
    assert due
    for invoice, on in due.items():
        assert any(on < again <= on + TWO_DAYS for again in right[invoice])


def test_repetitions_are_those_recorded(files: Files, recorded: Counter[tuple[str, str]]) -> None:
    lines: Counter[str] = Counter()
    distinct: dict[str, set[str]] = {}
    for path, content in files.items():
        entity = entity_of(path)
        for record, line in rows_of(path, content):
            if fault(entity, record) is None:
                lines[entity] += 1
                distinct.setdefault(entity, set()).add(line)
    expected = dict.fromkeys(distinct, 0)
    for (path, kind), count in recorded.items():
        sign = {"duplicate": 1, "resent": 1, "truncated": -1}.get(kind, 0)
        expected[entity_of(path)] += sign * count
    assert {entity: lines[entity] - len(rows) for entity, rows in distinct.items()} == expected
    assert 0.006 < expected["events/events"] / lines["events/events"] < 0.015


def test_late_and_skewed_events_keep_their_true_time(
    files: Files, recorded: Counter[tuple[str, str]]
) -> None:
    late, skewed, total = set(), set(), set()
    for path, content in files.items():
        if entity_of(path) != "events/events":
            continue
        for event, _ in rows_of(path, content):
            if event is None or fault("events/events", event):
                continue
            occurred, sent, received = (
                datetime.fromisoformat(event[f"{name}_at"])
                for name in ("occurred", "sent", "received")
            )
            total.add(event["event_id"])
            delay = sent - occurred
            assert timedelta(0) <= delay <= timedelta(days=7)
            if sent != received:
                skewed.add(event["event_id"])
                assert abs(sent - received) <= timedelta(hours=3)
            elif delay >= timedelta(minutes=5):
                late.add(event["event_id"])
    count = Counter[str]()
    for (_, kind), rows in recorded.items():
        count[kind] += rows
    assert (len(late), len(skewed)) == (count["late"], count["clock_skew"])
    assert 0.015 < len(late) / len(total) < 0.025
    assert 0.007 < len(skewed) / len(total) < 0.013


def test_columns_appear_and_change_names_in_mid_history(files: Files) -> None:
    def first_day(entity: str, text: bytes) -> str:
        return min(
            p.split("/")[2] for p, c in files.items() if entity_of(p) == entity and text in c
        )

    assert first_day("events/events", b'"experiment":') == "2025-09-01"
    assert "2025-08-01" <= first_day("billing/invoices", b'"purchase_order":') <= "2025-08-07"
    for path, content in files.items():
        if entity_of(path) == "crm/leads":
            name = b"company_name" if path.split("/")[2] >= "2025-07-01" else b"company"
            assert content.startswith(b"lead_id,email," + name + b",channel,")


def test_at_least_four_batches_of_events_come_a_day(files: Files) -> None:
    batches = Counter(p.split("/")[2] for p in files if entity_of(p) == "events/events")
    assert all(count >= 4 for day, count in batches.items() if day >= "2025-02-01")
