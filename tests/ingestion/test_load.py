"""What a load brings into raw, whatever the format."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from both_targets import BOTH
from dock import Dock, json_lines, order

from ingestion.contracts import read_contracts
from ingestion.load import ensure_raw_tables, load_all, newest_landed, pending
from ingestion.quarantine import summary
from warehouse.settings import PROJECT_ROOT, Settings
from warehouse.workshop import connect


@BOTH
def test_rows_are_typed_and_say_where_they_come_from(dock: Dock) -> None:
    file = dock.land_orders("a", order("o1", shipped_on="2025-03-04"), order("o2"))
    result = dock.load()
    assert (result.refused, result.files, result.rows) == ((), 1, 2)
    assert dock.query(
        """select order_id, amount, placed_at, item_count, shipped_on, _extra, _batch_id,
               _source_file, _row_number
           from raw_shop.orders limit 1"""
    ) == [
        ("o1", Decimal("12.50"), datetime(2025, 3, 1, 10, tzinfo=UTC), 2, date(2025, 3, 4),
         None, 1, file, 1)
    ]  # fmt: skip
    assert json.loads(dock.column("select lines from raw_shop.orders")[0]) == [{"sku": "a"}]
    [batch] = dock.query(
        """select batch_id, source, entity, file, row_count, quarantined_count, drift, status
           from raw_ledger.batches"""
    )
    assert batch == (1, "shop", "orders", file, 2, 0, None, "loaded")


@BOTH
def test_loading_twice_changes_nothing(dock: Dock) -> None:
    dock.land_orders("a", order("o1"))
    dock.load()
    before = dock.query("select * from raw_shop.orders")
    assert dock.load().files == 0
    assert dock.query("select * from raw_shop.orders") == before
    assert dock.column("select count(*) from raw_ledger.batches") == [1]


@BOTH
def test_a_ledger_of_an_older_version_knows_its_files(dock: Dock) -> None:
    path = "shop/orders/2025-03-01/a.jsonl"
    content = json_lines(order("o1"))
    dock.land(path, content)
    dock.load()
    old = hashlib.blake2b(content, digest_size=32).hexdigest()
    dock.execute(f"update raw_ledger.batches set content_hash = '{old}', file_stamp = 'other'")
    dock.land(path.replace("2025-03-01", "2025-03-02"), content)
    result = dock.load()
    assert not result.refused and result.rows == 0
    assert dock.query("select status, content_hash from raw_ledger.batches order by batch_id") == [
        ("loaded", old), ("skipped", old),
    ]  # fmt: skip
    dock.land(path.replace("2025-03-01", "2025-03-03"), json_lines(order("o2")))
    [refused] = dock.load().refused
    assert "with other content" in refused.reason


@BOTH
def test_batches_are_numbered_in_landing_order(dock: Dock) -> None:
    for path in ("2025-03-02/a", "2025-03-01/z", "2025-03-01/b"):
        dock.land(f"shop/orders/{path}.jsonl", json_lines(order(path)))
    dock.load()
    dock.land("shop/orders/2025-02-01/late.jsonl", json_lines(order("late")))
    dock.load()
    assert dock.column("select order_id from raw_shop.orders order by _batch_id") == [
        "2025-03-01/b", "2025-03-01/z", "2025-03-02/a", "late",
    ]  # fmt: skip


@BOTH
def test_a_csv_may_hold_quoted_line_ends_and_keeps_its_line_numbers(dock: Dock) -> None:
    dock.land(
        "shop/visitors/2025-03-01/a.csv",
        b'visitor_id,company,visits,is_member\nv1,"Two\nLines, ""Inc.""",3,true\n\nv2,,4,\r\n',
    )
    result = dock.load()
    assert result.quarantined == 0
    assert dock.query(
        "select visitor_id, company, visits, is_member, _row_number from raw_shop.visitors"
    ) == [("v1", 'Two\nLines, "Inc."', 3, True, 2), ("v2", None, 4, None, 5)]


def test_a_csv_of_windows_with_line_ends_in_its_texts_is_loaded(dock: Dock) -> None:
    """DuckDB gives up on such a file in the middle of it, and the transaction with it."""
    lines = ["visitor_id,company,visits,is_member"]
    lines += [f'v{n},"Am Graben {n}\nHinterhaus",{n},' for n in range(60)]
    dock.land("shop/visitors/2025-03-01/a.csv", ("\r\n".join(lines) + "\r\n").encode())
    result = dock.load()
    assert (result.rows, result.quarantined) == (60, 0)
    assert dock.query("select company from raw_shop.visitors where visitor_id = 'v7'") == [
        ("Am Graben 7\nHinterhaus",)
    ]


@BOTH
def test_names_that_differ_in_case_only_are_two_names(dock: Dock) -> None:
    dock.change_contract(
        "- {name: item_count, data_type: bigint",
        "- {name: item_count, config: {meta: {aliases: [Item_Count]}}, data_type: bigint",
    )
    dock.land_orders("a", order("o1"), order("o2", ORDER_ID="x", Order_Id="y"))
    old = order("o3", Item_Count=7)
    del old["item_count"]
    dock.land_orders("b", old)
    result = dock.load()
    assert (result.rows, result.quarantined) == (3, 0)
    assert dock.query("select order_id, item_count from raw_shop.orders order by order_id") == [
        ("o1", 2), ("o2", 2), ("o3", 7),
    ]  # fmt: skip


def test_many_plain_csv_files_are_numbered_each_from_its_own_first_line(dock: Dock) -> None:
    for name in "abc":
        lines = [f"{name}{n},,{n},true" for n in range(2, 5)]
        dock.land(
            f"shop/visitors/2025-03-01/{name}.csv",
            ("visitor_id,company,visits,is_member\n" + "\n".join(lines)).encode(),
        )
    dock.load()
    rows = dock.query("select visitor_id, _source_file, _row_number from raw_shop.visitors")
    assert len(rows) == 9
    assert all(f"/{v[0]}.csv" in file and int(v[1:]) == number for v, file, number in rows)


def test_a_large_file_after_one_without_a_good_row_is_wholly_found(dock: Dock) -> None:
    """DuckDB 2.0.0 can forget a large insert that follows an empty one in its transaction."""
    dock.land("shop/visitors/2025-03-01/a.csv", b"visitor_id,visits\nv,many\n")
    lines = b"".join(b"v%d,Acme,1\n" % number for number in range(130_000))
    dock.land("shop/visitors/2025-03-01/b.csv", b"visitor_id,company,visits\n" + lines)
    result = dock.load()
    assert (result.rows, result.quarantined) == (130_000, 1)
    for condition in ("_batch_id between 1 and 2", "_row_number > 0", "visitor_id is not null"):
        rows = dock.column(f"select count(*) from raw_shop.visitors where {condition}")
        assert rows == [130_000]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(dock: Dock) -> None:
    text = "visitor_id,company,visits,is_member\r\nv1,Acmé,3,true\r\n"
    dock.land("shop/visitors/2025-03-01/a.csv", b"\xef\xbb\xbf" + text.encode())
    rows = json_lines(order("o1"), order("o2")).replace(b"\n", b"\r\n")
    dock.land("shop/orders/2025-03-01/a.jsonl", b"\xef\xbb\xbf" + rows)
    result = dock.load()
    assert (result.refused, result.quarantined, result.rows) == ((), 0, 3)
    assert dock.column("select company from raw_shop.visitors") == ["Acmé"]


def test_compressed_files_are_read_as_they_are(dock: Dock) -> None:
    dock.land("shop/orders/2025-03-01/a.jsonl.gz", gzip.compress(json_lines(order("o1"))))
    csv = b"visitor_id,company,visits,is_member\nv1,,1,true\nv2,,x,true\n"
    dock.land("shop/visitors/2025-03-01/a.csv.gz", gzip.compress(csv))
    result = dock.load()
    assert (result.refused, result.rows, result.quarantined) == ((), 2, 1)
    assert dock.quarantine()[0][1:3] == (3, "visits")
    assert dock.quarantine()[0][4] == "v2,,x,true"


def parquet(**columns: pa.Array) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@BOTH
def test_parquet_is_held_against_the_contract_too(dock: Dock) -> None:
    dock.land(
        "shop/stock/2025-03-01/a.parquet",
        parquet(
            item_id=pa.array(["i1", None, "i3"]),
            price=pa.array(["1.50", "2.00", "dear"]),
            counted_at=pa.array([datetime(2025, 3, 1, tzinfo=UTC)] * 3),
            shelf=pa.array([{"row": 1}] * 3),
        ),
    )
    dock.land("shop/stock/2025-03-01/b.parquet", parquet(item_id=pa.array(["i4"]), price=[4]))
    result = dock.load()
    assert dock.query("select item_id, price, _extra, _row_number from raw_shop.stock") == [
        ("i1", Decimal("1.50"), '{"shelf":{"row":1}}', 1),
        ("i4", Decimal("4.00"), None, 1),
    ]
    assert [row[1:4] for row in dock.quarantine()] == [
        (2, "item_id", "item_id is required and missing"),
        (3, "price", "price is not a decimal(18,2)"),
    ]
    assert json.loads(dock.quarantine()[1][4])["price"] == "dear"
    assert result.entities["stock"].drift == ("shelf",)


@BOTH
def test_unknown_columns_are_kept_and_reported_once(dock: Dock) -> None:
    dock.land_orders("a", order("o1"), order("o2", coupon={"code": None}, note=None))
    dock.land_orders("b", order("o3", coupon="x"))
    result = dock.load()
    assert result.entities["orders"].drift == ("coupon", "note")
    extras = dock.column("select _extra from raw_shop.orders order by order_id")
    assert [extra and json.loads(extra) for extra in extras] == [
        None, {"coupon": {"code": None}, "note": None}, {"coupon": "x"},
    ]  # fmt: skip
    drift = dock.column("select drift from raw_ledger.batches order by batch_id")
    assert [json.loads(each) for each in drift] == [
        {"added": ["coupon", "note"]}, {"added": ["coupon"]},
    ]  # fmt: skip
    [event] = dock.log("drift")
    assert (event["entity"], event["added"]) == ("orders", ["coupon", "note"])
    dock.land_orders("c", order("o4", coupon="y"))
    dock.load()
    assert len(dock.log("drift")) == 1


def test_a_renamed_column_arrives_under_the_contracts_name(dock: Dock) -> None:
    for name, header in (("a", "company"), ("b", "company_name")):
        dock.land(
            f"shop/visitors/2025-03-01/{name}.csv",
            f"visitor_id,{header},visits\n{name},Acme,1\n".encode(),
        )
    result = dock.load()
    assert dock.query("select company, _extra from raw_shop.visitors") == [("Acme", None)] * 2
    assert result.entities["visitors"].drift == ("company_name",)
    [event] = dock.log("drift")
    assert event["renamed"] == {"company_name": "company"}


@BOTH
def test_on_drift_quarantine_sets_only_the_drifting_rows_aside(dock: Dock) -> None:
    dock.change_contract("format: jsonl,", "format: jsonl, on_drift: quarantine,")
    dock.land_orders("a", order("o1"), order("o2", coupon=1))
    result = dock.load()
    assert (result.rows, result.quarantined) == (1, 1)
    assert "on_drift" in dock.quarantine()[0][3]


@BOTH
def test_a_new_column_of_a_contract_appears_in_the_raw_table(dock: Dock) -> None:
    dock.land_orders("a", order("o1"))
    dock.load()
    dock.change_contract(
        "- {name: lines,", "- {name: coupon, data_type: varchar}\n          - {name: lines,"
    )
    dock.land_orders("b", order("o2", coupon="x"))
    dock.load()
    assert dock.column("select coupon from raw_shop.orders order by order_id") == [None, "x"]


def test_files_that_start_with_a_dot_are_not_there(dock: Dock) -> None:
    dock.land("shop/orders/2025-03-01/.a.jsonl", json_lines(order("o1")))
    assert dock.load().files == 0


def test_an_empty_file_is_a_batch_without_rows(dock: Dock) -> None:
    for path in ("orders/2025-03-01/a.jsonl", "visitors/2025-03-01/a.csv",
                 "stock/2025-03-01/a.parquet"):  # fmt: skip
        dock.land(f"shop/{path}", b"")
    dock.land("shop/visitors/2025-03-01/b.csv", b"visitor_id,visits\n")
    result = dock.load()
    assert (result.refused, result.files, result.rows) == ((), 4, 0)
    # A header is an answer; no byte at all may be an accident.
    assert sorted(result.empty) == [
        "shop/orders/2025-03-01/a.jsonl",
        "shop/stock/2025-03-01/a.parquet",
        "shop/visitors/2025-03-01/a.csv",
    ]
    assert dock.column("select row_count from raw_ledger.batches") == [0, 0, 0, 0]
    assert dock.load().files == 0


@BOTH
def test_pending_names_what_the_next_load_will_look_at(dock: Dock) -> None:
    a = dock.land_orders("a", order("o1"))
    connection = connect(dock.settings)
    assert pending(dock.settings, connection) == {"shop": [a], "press": []}
    assert newest_landed(dock.settings) == {"shop": (a,)}
    load_all(dock.settings, connection)
    b = dock.land_orders("b", order("o2"))
    assert pending(dock.settings, connection)["shop"] == [b]
    assert newest_landed(dock.settings) == {"shop": (b,)}
    connection.close()


@BOTH
def test_every_contracted_table_exists_before_anything_landed(dock: Dock) -> None:
    connection = connect(dock.settings)
    ensure_raw_tables(connection, read_contracts(dock.settings))
    ensure_raw_tables(connection, read_contracts(dock.settings))
    assert connection.execute("select count(*) from raw_press.articles").fetchall() == [(0,)]
    assert summary(connection) == []
    connection.close()


def test_landing_may_be_anywhere_that_fsspec_reaches(dock: Dock, tmp_path: Path) -> None:
    import fsspec

    elsewhere = dock.settings.model_copy(update={"landing": "memory://landing"})
    files = fsspec.filesystem("memory")
    files.pipe_file("/landing/shop/orders/2025-03-01/a.jsonl", json_lines(order("o1")))
    csv = b"visitor_id,company,visits\nv1,Acme,1\n"
    files.pipe_file("/landing/shop/visitors/2025-03-01/a.csv", csv)
    connection = connect(elsewhere)
    try:
        [press, shop] = sorted(load_all(elsewhere, connection), key=lambda r: r.source)
        assert (shop.refused, shop.rows, press.rows) == ((), 2, 0)
        assert load_all(elsewhere, connection)[0].files == 0
    finally:
        connection.close()
        files.rm("/landing", recursive=True)


def test_the_contracts_of_the_house_can_be_read() -> None:
    contracts = read_contracts(Settings())
    assert (PROJECT_ROOT / "dbt_project" / "models" / "raw" / "billing.yml").exists()
    assert set(contracts) >= {"app", "billing", "events", "crm"}
    assert contracts["crm"]["leads"].aliases == {"company_name": "company"}
    assert contracts["events"]["events"].key == ("event_id",)


def test_unknown_columns_are_kept_whether_the_first_line_has_them_or_not(dock: Dock) -> None:
    rows = [
        order("o1", coupon="a\"b"),
        order("o2"),
        order("o3", coupon={"code": 1.50}),
        order("o4", coupon=None),
        order("o5", gift=True),
        order("o6", coupon="c", gift=[1]),
    ]  # fmt: skip
    dock.land_orders("foreseen", *rows)
    assert dock.load().rows == 6
    # Alone, so that no first line tells of them.
    dock.land_orders("unforeseen", order("o0"), *rows)
    assert dock.load().rows == 7
    kept = [
        '{"coupon":"a\\"b"}', None, '{"coupon":{"code":1.5}}', '{"coupon":null}', '{"gift":true}',
        '{"coupon":"c","gift":[1]}',
    ]  # fmt: skip
    for name, expected in (("foreseen", kept), ("unforeseen", [None, *kept])):
        found = dock.column(
            f"select _extra from raw_shop.orders where _source_file like '%/{name}.%'"
            " order by _row_number"
        )
        assert found == expected
