"""Whatever a source sends: what is good is loaded, what is not is named, nothing half-loaded."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from both_targets import BOTH
from dock import Dock, json_lines, looked_at, order
from platform_under_test import NO_PROMPT

from ingestion.load import LoadResult, load_source, set_aside
from ingestion.quarantine import Sought, causes, waiting_rows
from warehouse.clock import wall_clock
from warehouse.errors import LockedError, SluiceError
from warehouse.settings import PROJECT_ROOT
from warehouse.workshop import connect

# Another process that loads the same house, as `sluice run` would.
LOADER = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from dock import House
from ingestion.load import load_source
from warehouse.workshop import connect
settings = House(data_dir=Path({data!r}), landing="")
connection = connect(settings)
print("ready", flush=True)
print(load_source(settings, connection, "shop"), flush=True)
"""


def assert_refused(dock: Dock, result: LoadResult, file: str, *words: str) -> None:
    """One refusal that names the file and a remedy; nothing of the source is loaded."""
    [refusal] = result.refused
    assert refusal.file == file
    for word in words:
        assert word in refusal.reason
    assert refusal.remedy
    assert result.rows == 0
    for table in ("orders", "visitors", "stock"):
        assert dock.column(f"select count(*) from raw_shop.{table}") == [0]
    assert dock.column("select count(*) from raw_ledger.batches") == [0]
    [event] = dock.log("refused")
    assert (event["file"], event["reason"]) == (file, refusal.reason)


@pytest.fixture
def company(dock: Dock) -> Dock:
    """A dock where a good file waits as well."""
    dock.land_orders("good", order("o1"))
    return dock


def test_a_cut_last_line_goes_to_quarantine(dock: Dock) -> None:
    lines = json_lines(order("o1"), order("o2"))
    file = dock.land("shop/orders/2025-03-01/a.jsonl", lines[:-30])
    assert (dock.load().rows, dock.column("select order_id from raw_shop.orders")) == (1, ["o1"])
    [(where, row, column, reason, content)] = dock.quarantine()
    assert (where, row, column) == (file, 2, None)
    assert "not valid JSON" in reason
    assert content == lines.decode().splitlines()[1][:-29]


@BOTH
def test_each_row_that_breaks_the_contract_is_quarantined_with_its_reason(dock: Dock) -> None:
    dock.land_orders(
        "a",
        order("o1"),
        order("o2", amount="12.3.4"),
        order("o3", amount="12.345"),
        order("o4", placed_at="2025-13-45T99:99:99Z"),
        order("o5", placed_at=None),
        order("o6", item_count=2.5),
        order("o7", shipped_on="2025-03-01T10:00:00Z"),
        "[1, 2]",
        '"text"',
        "",
        "no json",
        order("o8", amount=12.5, item_count="3"),
    )
    result = dock.load()
    assert dock.column("select order_id from raw_shop.orders order by 1") == ["o1", "o8"]
    assert [row[1:4] for row in dock.quarantine()] == [
        (2, "amount", "amount is not a decimal(18,2)"),
        (3, "amount", "amount is not a decimal(18,2)"),
        (4, "placed_at", "placed_at is not a timestamptz"),
        (5, "placed_at", "placed_at is required and missing"),
        (6, "item_count", "item_count is not a bigint"),
        (7, "shipped_on", "shipped_on is not a date"),
        (8, None, "the line is JSON, but no object"),
        (9, None, "the line is JSON, but no object"),
        (11, None, "the line is not valid JSON"),
    ]
    assert result.quarantined == 9
    assert dock.column("select quarantined_count from raw_ledger.batches") == [9]
    assert told(dock, Sought("shop", "orders"))[:3] == [
        ("amount", "amount is not a decimal(18,2)", 2),
        (None, "the line is JSON, but no object", 2),
        ("item_count", "item_count is not a bigint", 1),
    ]  # fmt: skip
    assert told(dock, Sought(reason="NOT A DATE")) == [
        ("shipped_on", "shipped_on is not a date", 1)
    ]
    assert told(dock, Sought("press")) == told(dock, Sought(since=wall_clock())) == []


def told(dock: Dock, sought: Sought) -> list[tuple[str | None, str, int]]:
    """By cause, how many rows wait; the rows themselves are as many."""
    with closing(looked_at(dock.settings)) as connection:
        found = causes(connection, sought)
        rows = waiting_rows(connection, sought, 100)
    assert len(rows) == sum(each.rows for each in found)
    assert all(sought.reason.lower() in each.reason for each in rows)
    return [(each.column, each.reason, each.rows) for each in found]


def test_csv_rows_with_too_few_or_too_many_fields_are_quarantined(dock: Dock) -> None:
    dock.land(
        "shop/visitors/2025-03-01/a.csv",
        b'visitor_id,company,visits\nv1,Acme,1\nv2,Acme\nv3,Acme,3,4\nv4,"A, B",x\n'
        b'v5,"never closed,5\nv6,,6\nv7,"wrong" quote,7\n,,8\nv9',
    )
    dock.load()
    assert dock.query("select visitor_id, _row_number from raw_shop.visitors order by 1") == [
        ("v1", 2), ("v6", 7),
    ]  # fmt: skip
    rows = dock.quarantine()
    assert [(row[1], row[2]) for row in rows] == [
        (3, None), (4, None), (5, "visits"), (6, None), (8, None), (9, "visitor_id"), (10, None),
    ]  # fmt: skip
    assert "too few or too many fields" in rows[0][3]
    assert "quote" in rows[3][3]
    assert rows[3][4] == 'v5,"never closed,5'
    assert rows[2][4] == 'v4,"A, B",x'


@BOTH
def test_a_file_that_is_not_utf8_closes_its_source(company: Dock) -> None:
    text = "visitor_id,company,visits\nv1,Acme,1\nv2,Café,2\n"
    file = company.land("shop/visitors/2025-03-01/b.csv", text.encode("latin-1"))
    company.land("press/articles/2025-03-01/a.jsonl", b'{"article_id": "p1"}\n')
    assert_refused(company, company.load(), file, "UTF-8", "line 3")
    # Another source is not concerned.
    assert company.load("press").rows == 1


def test_utf16_is_not_taken_for_text(company: Dock) -> None:
    content = json_lines(order("o2")).decode().encode("utf-16-le")
    file = company.land("shop/orders/2025-03-01/b.jsonl", content)
    assert_refused(company, company.load(), file, "UTF-8", "line 1")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("visitors/2025-03-01/b.csv", b"visitor_id,company\nv1,Acme\n"),
        ("orders/2025-03-01/b.jsonl", json_lines({"order_id": "o", "visits": 1}, {"amount": 1})),
    ],
)
def test_a_missing_required_column_closes_the_source(
    company: Dock, path: str, content: bytes
) -> None:
    file = company.land(f"shop/{path}", content)
    column = "visits" if path.endswith("csv") else "placed_at"
    assert_refused(company, company.load(), file, f"column {column}")


def test_a_required_column_that_only_some_rows_lack_costs_only_these(company: Dock) -> None:
    company.land_orders("b", {"order_id": "o2", "amount": "1.00"}, order("o3"))
    result = company.load()
    assert (result.refused, result.rows, result.quarantined) == ((), 2, 1)


def test_on_drift_freeze_refuses_the_file(company: Dock) -> None:
    company.change_contract("format: jsonl, key: [order_id]", "format: jsonl, on_drift: freeze")
    file = company.land_orders("b", order("o2"), order("o3", coupon=1))
    assert_refused(company, company.load(), file, "coupon")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("orders/2025-03-01/b.jsonl.gz", gzip.compress(json_lines(order("o2")))[:-12]),
        ("orders/2025-03-01/b.txt", json_lines(order("o2"))),
        ("stock/2025-03-01/b.parquet", b"PAR1 and then nothing"),
        ("visitors/2025-03-01/b.csv", b"visitor_id,visits,visits\nv,1,1\n"),
    ],
)
def test_a_file_that_cannot_be_read_closes_the_source(
    company: Dock, name: str, content: bytes
) -> None:
    file = company.land(f"shop/{name}", content)
    assert_refused(company, company.load(), file)


def test_a_batch_name_that_was_used_for_other_content_is_refused(dock: Dock) -> None:
    first = dock.land_orders("a", order("o1"))
    dock.load()
    file = dock.land("shop/orders/2025-03-02/a.jsonl", json_lines(order("o2")))
    [refusal] = dock.load().refused
    assert refusal.file == file
    assert "other content" in refusal.reason
    assert first in refusal.reason
    assert dock.column("select order_id from raw_shop.orders") == ["o1"]


@BOTH
def test_a_batch_that_is_delivered_again_is_passed_by(dock: Dock) -> None:
    dock.land_orders("a", order("o1"))
    dock.load()
    dock.land("shop/orders/2025-03-02/a.jsonl", json_lines(order("o1")))
    result = dock.load()
    assert (result.refused, result.rows, result.entities["orders"].repeated) == ((), 0, 1)
    assert dock.column("select count(*) from raw_shop.orders") == [1]
    assert dock.load().entities == {}


@BOTH
def test_a_landed_file_that_changes_is_noticed(dock: Dock) -> None:
    file = dock.land_orders("a", order("o1"))
    dock.load()
    time.sleep(0.01)
    dock.land_orders("a", order("o1"))
    assert dock.load().refused == ()
    dock.land_orders("a", order("o9"))
    [refusal] = dock.load().refused
    assert refusal.file == file
    assert "never changes" in refusal.reason


def test_a_file_that_is_set_aside_is_ignored_and_the_log_knows_why(company: Dock) -> None:
    file = company.land_orders("bad", {"order_id": "o2"})
    assert company.load().refused
    set_aside(company.settings, file, "sent again as bad-2")
    result = company.load()
    assert (result.refused, result.rows) == ((), 1)
    [event] = company.log("set_aside")
    assert (event["file"], event["reason"]) == (file, "sent again as bad-2")
    with pytest.raises(SluiceError, match="not in the landing zone"):
        set_aside(company.settings, "shop/orders/2025-03-01/none.jsonl", "gone")
    with pytest.raises(SluiceError, match="without a reason"):
        set_aside(company.settings, file, " ")


def peak_memory_of_a_load(dock: Dock) -> tuple[int, str]:
    """In bytes, of a process of its own; and what it printed."""
    script = _loader(dock) + (
        "import resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    *told, peak = done.stdout.splitlines()
    return int(peak), "\n".join(told)


def _loader(dock: Dock) -> str:
    return NO_PROMPT + LOADER.format(
        tests=str(Path(__file__).parent), root=str(PROJECT_ROOT), data=str(dock.settings.data_dir)
    )


def test_a_line_of_200_mb_goes_to_quarantine_without_filling_the_memory(dock: Dock) -> None:
    dock.land_orders("a", order("o1"))
    small, _ = peak_memory_of_a_load(dock)
    place = Path(dock.settings.landing_url) / "shop/orders/2025-03-01/long.jsonl"
    with place.open("wb") as file:
        file.write(json_lines(order("o2")))
        file.write(b'{"order_id": "')
        for _ in range(200):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + json_lines(order("o3")))
    large, told = peak_memory_of_a_load(dock)
    assert "2 rows, 1 quarantined" in told
    assert large - small < 100_000_000
    [(_, row, _, reason, content)] = dock.quarantine()
    assert row == 2
    assert "max_line_bytes" in reason
    assert len(content) < 1000


def test_a_csv_line_that_is_too_long_refuses_the_file(company: Dock) -> None:
    content = b"visitor_id,company,visits\nv1," + b"x" * 200_000 + b",1\n"
    file = company.land("shop/visitors/2025-03-01/b.csv", content)
    assert_refused(company, company.load(), file, "max_line_bytes")


def test_a_locked_workshop_says_who_may_hold_it(company: Dock) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _loader(company) + "input()\n"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.stdout.readline()
    try:
        with pytest.raises(LockedError, match="open in another process"):
            connect(company.settings)
    finally:
        holder.communicate("\n", timeout=30)
    assert company.column("select count(*) from raw_shop.orders") == [1]


def many_orders(dock: Dock, files: int = 40, rows: int = 2_000) -> None:
    for n in range(files):
        dock.land_orders(f"n{n:03}", *(order(f"o{n}-{row}") for row in range(rows)))


def test_a_full_disk_leaves_nothing_half_loaded(company: Dock) -> None:
    company.load()
    many_orders(company)
    script = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({4 << 20}, {4 << 20}))\n"
    done = subprocess.run(
        [sys.executable, "-c", script + _loader(company)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "is full; nothing half-loaded stays" in done.stderr
    assert "→ Free space" in done.stderr
    assert company.column("select count(*) from raw_shop.orders") == [1]
    assert company.load().rows == 80_000


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("after", [0.05, 0.3])
def test_an_ended_load_is_whole_or_not_there_and_the_next_carries_on(
    company: Dock, how: signal.Signals, after: float
) -> None:
    many_orders(company)
    loader = subprocess.Popen(
        [sys.executable, "-c", _loader(company)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert loader.stdout is not None
    loader.stdout.readline()
    time.sleep(after)
    os.kill(loader.pid, how)
    loader.wait(timeout=30)
    connection = connect(company.settings)
    result = load_source(company.settings, connection, "shop")
    connection.close()
    assert result.refused == ()
    ledger = "select sum(row_count)::bigint, count(distinct file), count(*) from raw_ledger.batches"
    assert company.query(ledger) == [(80_001, 41, 41)]
    assert company.query("select count(*), count(distinct order_id) from raw_shop.orders") == [
        (80_001, 80_001)
    ]
