"""Loading again: the quarantine, or everything a source ever landed."""

from __future__ import annotations

from contextlib import closing

from both_targets import BOTH
from dock import Dock, json_lines, order

from ingestion.load import LoadResult, set_aside
from ingestion.quarantine import summary
from ingestion.replay import QuarantineReplay, replay_quarantine, replay_source
from warehouse.workshop import connect

CSV = b'visitor_id,company,visits\nv1,Acme,1\nv2,"A, B",many\n,,3\nv4,x\n'


def replayed(dock: Dock) -> list[QuarantineReplay]:
    with closing(connect(dock.settings)) as connection:
        return replay_quarantine(dock.settings, connection)


def rebuilt(dock: Dock) -> LoadResult:
    with closing(connect(dock.settings)) as connection:
        return replay_source(dock.settings, connection, "shop")


@BOTH
def test_quarantined_rows_are_loaded_once_the_contract_takes_them(dock: Dock) -> None:
    orders = dock.land_orders("a", order("o1"), order("o2", item_count="two"), "no json")
    visitors = dock.land("shop/visitors/2025-03-01/a.csv", CSV)
    dock.load()
    assert [(r.accepted, r.still_bad) for r in replayed(dock)] == [(0, 2), (0, 3)]
    dock.change_contract("item_count, data_type: bigint", "item_count, data_type: varchar")
    dock.change_contract("visits, data_type: bigint", "visits, data_type: varchar")
    # The tables hold numbers: with text in the contract, they are rebuilt, or …
    assert rebuilt(dock).quarantined == 3
    assert dock.query("select item_count, _source_file, _row_number from raw_shop.orders") == [
        ("2", orders, 1), ("two", orders, 2),
    ]  # fmt: skip
    # … where the type stays, the quarantine alone is replayed.
    dock.change_contract(
        "visitor_id, data_type: varchar, config: {meta: {required: true}}",
        "visitor_id, data_type: varchar",
    )
    assert QuarantineReplay("shop", "visitors", 1, 1) in replayed(dock)
    assert dock.query(
        "select visits, _source_file, _row_number from raw_shop.visitors where visitor_id is null"
    ) == [("3", visitors, 4)]
    # A second replay finds nothing new.
    assert all(each.accepted == 0 for each in replayed(dock))
    assert dock.query(
        "select status, row_count from raw_ledger.batches where status = 'replayed'"
    ) == [("replayed", 1)]
    with closing(connect(dock.settings)) as connection:
        found = {each.entity: each.reasons for each in summary(connection)}
    assert found["visitors"] == {"it has too few or too many fields": 1}
    assert found["orders"] == {"the line is not valid JSON": 1}


@BOTH
def test_a_replayed_row_comes_in_a_batch_of_its_own(dock: Dock) -> None:
    dock.land_orders("a", order("o1", placed_at=None), order("o2"))
    dock.load()
    dock.change_contract(
        "placed_at, data_type: timestamptz, config: {meta: {required: true}}",
        "placed_at, data_type: timestamptz",
    )
    [result] = replayed(dock)
    assert (result.accepted, result.still_bad) == (1, 0)
    rows = dock.query("select order_id, _batch_id, _row_number from raw_shop.orders order by 1")
    assert rows == [("o1", 2, 1), ("o2", 1, 2)]


@BOTH
def test_a_rebuild_from_landing_gives_the_same_rows_in_the_same_batches(dock: Dock) -> None:
    dock.land_orders("b", order("o1"), order("o2", amount="x"), order("o3", coupon=1))
    dock.load()
    dock.land_orders("a", order("o4"))
    dock.land("shop/orders/2025-03-02/a.jsonl", json_lines(order("o4")))
    dock.land("shop/visitors/2025-03-01/a.csv", CSV)
    dock.load()
    raw = "select * from raw_shop.orders order by _source_file, _row_number"
    ledger = "select * from raw_ledger.batches order by file"
    quarantine = "select * from raw_ledger.quarantine order by file, row_number"
    before = [dock.query(sql) for sql in (raw, ledger, quarantine)]
    result = rebuilt(dock)
    assert (result.refused, result.rows, result.quarantined) == ((), 4, 4)
    assert [dock.query(sql) for sql in (raw, ledger, quarantine)] == before
    assert dock.load().files == 0


@BOTH
def test_a_rebuild_under_a_changed_contract_gives_new_batches_to_what_changed(dock: Dock) -> None:
    dock.land_orders("a", order("o1"))
    dock.land_orders("b", order("o2", amount="x"), order("o3"))
    dock.load()
    dock.change_contract('amount, data_type: "decimal(18,2)"', "amount, data_type: varchar")
    rebuilt(dock)
    assert dock.query("select amount, _batch_id from raw_shop.orders order by order_id") == [
        ("12.50", 3), ("x", 4), ("12.50", 4),
    ]  # fmt: skip
    assert dock.column("select count(*) from raw_ledger.quarantine") == [0]


@BOTH
def test_a_rebuild_takes_in_a_changed_file_and_leaves_out_one_set_aside(dock: Dock) -> None:
    dock.land_orders("a", order("o1"))
    rubbish = dock.land_orders("b", order("o2"))
    dock.load()
    dock.land_orders("a", order("o1", amount="99.00"))
    assert dock.load().refused
    set_aside(dock.settings, rubbish, "test data")
    result = rebuilt(dock)
    assert (result.refused, result.rows) == ((), 1)
    assert dock.query("select order_id, amount::varchar from raw_shop.orders") == [("o1", "99.00")]
    assert dock.load().refused == ()


@BOTH
def test_a_rebuild_that_would_lose_rows_is_refused(dock: Dock) -> None:
    file = dock.land_orders("a", order("o1"))
    dock.load()
    (dock.settings.data_dir / "landing" / file).unlink()
    [refusal] = rebuilt(dock).refused
    assert refusal.file == file
    assert "backup" in refusal.remedy
    assert dock.column("select order_id from raw_shop.orders") == ["o1"]
