"""A changed contract explains what was quarantined: it is taken in by itself, and said."""

from __future__ import annotations

from contextlib import closing

import pytest
from both_targets import BOTH
from dock import CONTRACTS, Dock, order

from ingestion import healing
from ingestion.healing import Healed, heal_quarantine
from warehouse.connection import NO_SUCH_TABLE
from warehouse.platform_log import read_newest_first
from warehouse.workshop import connect

STRICT = CONTRACTS.replace(
    "format: jsonl, key: [order_id]", "format: jsonl, on_drift: quarantine, key: [order_id]"
)
BEFORE = "- {name: item_count, data_type: bigint}"
AFTER = f"{BEFORE}\n          - {{name: voucher, data_type: varchar}}"


def heal_and_load(dock: Dock) -> tuple[Healed, ...]:
    """As the load step does."""
    with closing(connect(dock.settings)) as connection:
        healed = heal_quarantine(dock.settings, connection, "shop")
    dock.load()
    return healed


def drifted(dock: Dock) -> None:
    """Three rows that an on_drift: quarantine contract does not know, one of them bad anyway."""
    dock.contract(STRICT)
    dock.land_orders(
        "a", order("o1"), order("o2", voucher="X1"), order("o3", voucher="X2"),
        order("o4", voucher="X3", amount="much"),
    )  # fmt: skip
    assert heal_and_load(dock) == ()


@BOTH
def test_rows_quarantined_by_drift_come_in_once_the_column_is_in_the_contract(dock: Dock) -> None:
    drifted(dock)
    assert dock.column("select order_id from raw_shop.orders") == ["o1"]
    dock.change_contract(BEFORE, AFTER)
    [healed] = heal_and_load(dock)
    assert str(healed) == (
        "healed shop.orders: 2 quarantined rows fit its changed contract; 1 still do not"
    )
    assert dock.query("select order_id, voucher from raw_shop.orders order by 1") == [
        ("o1", None), ("o2", "X1"), ("o3", "X2"),
    ]  # fmt: skip
    assert [row[4] for row in dock.quarantine()] != [] and len(dock.quarantine()) == 1
    [event] = read_newest_first(dock.settings, "heals")
    assert (event["what"], event["dataset"], event["row_count"]) == (
        "replayed_quarantine", "raw.shop.orders", 2,
    )  # fmt: skip
    # In a batch of its own, so that what reads raw takes it in.
    assert dock.column("select row_count from raw_ledger.batches where status = 'replayed'") == [2]
    assert heal_and_load(dock) == ()


def test_a_contract_that_stays_replays_nothing(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    drifted(dock)
    monkeypatch.setattr(healing, "replay_quarantine", None)  # it would fail if it were asked
    assert heal_and_load(dock) == ()
    dock.land_orders("b", order("o5", voucher="X4"))
    assert heal_and_load(dock) == ()
    assert len(dock.quarantine()) == 4


@BOTH
def test_only_the_entity_whose_contract_changed_is_replayed(dock: Dock) -> None:
    drifted(dock)
    dock.land("shop/visitors/2025-03-01/a.csv", b"visitor_id,company,visits\nv1,A,many\n")
    heal_and_load(dock)
    dock.change_contract(BEFORE, AFTER)
    assert [each.entity for each in heal_and_load(dock)] == ["orders"]
    assert {event["entity"] for event in dock.log("replayed")} == {"orders"}


def test_a_change_that_explains_nothing_says_nothing_and_is_tried_once(dock: Dock) -> None:
    drifted(dock)
    dock.change_contract("counted_at", "seen_at")
    dock.change_contract(BEFORE, f"{BEFORE}\n          - {{name: colour, data_type: varchar}}")
    assert heal_and_load(dock) == () and len(dock.quarantine()) == 3
    assert len(dock.log("replayed")) == 1
    assert heal_and_load(dock) == () and len(dock.log("replayed")) == 1
    assert list(read_newest_first(dock.settings, "heals")) == []


def test_a_process_ended_between_replay_and_note_replays_to_the_same_end(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drifted(dock)
    dock.change_contract(BEFORE, AFTER)
    with monkeypatch.context() as ended:
        ended.setattr(healing, "_hold", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            heal_and_load(dock)
    assert heal_and_load(dock) == ()
    assert dock.column("select count(*) from raw_shop.orders") == [3]
    assert len(dock.quarantine()) == 1


@BOTH
def test_a_workshop_from_before_contracts_were_remembered_is_replayed_once(dock: Dock) -> None:
    drifted(dock)
    with closing(connect(dock.settings)) as connection:
        connection.execute("drop table raw_ledger.contracts")
        with pytest.raises(NO_SUCH_TABLE):
            connection.execute("select * from raw_ledger.contracts")
    dock.change_contract(BEFORE, AFTER)
    assert [each.accepted for each in heal_and_load(dock)] == [2]
