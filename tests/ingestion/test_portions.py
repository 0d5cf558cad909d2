"""A source read anew portion by portion ends as if it had been replayed in one go."""

from __future__ import annotations

from contextlib import closing

import pytest
from both_targets import BOTH
from dock import Dock, order

from ingestion.contracts import read_contracts
from ingestion.portions import Portion, finish, portions, replay_portion, unfit
from ingestion.replay import replay_source
from warehouse import backfills
from warehouse.clock import wall_clock
from warehouse.errors import SluiceError
from warehouse.workshop import connect

RAW = (
    "select order_id, amount::varchar, pieces, _source_file, _row_number, _batch_id"
    " from raw_shop.orders order by _source_file, _row_number"
)
PLACES = "select batch_id, file, row_count, quarantined_count from raw_ledger.batches order by file"
DAYS = "select input, batch_id, partition_on::varchar from platform.batch_partitions order by 2, 3"


def planned(dock: Dock, size: int) -> tuple[Portion, ...]:
    with closing(connect(dock.settings)) as connection:
        return portions(dock.settings, connection, "shop", ("orders", "visitors"), size=size)


def read(dock: Dock, number: int, portion: Portion, *, killed: bool = False) -> None:
    with closing(connect(dock.settings)) as connection:

        def mark() -> None:
            backfills.mark(connection, "b", number, backfills.DONE)
            if killed:
                raise KeyboardInterrupt

        replay_portion(dock.settings, connection, portion, mark)


def done(dock: Dock) -> list[int]:
    with closing(connect(dock.settings)) as connection:
        return sorted(step for step, _ in backfills.marks(connection, "b"))


@BOTH
def test_portions_under_a_changed_contract_end_where_a_replay_would(dock: Dock) -> None:
    dock.land_orders("0", order("o0"), order("p0", item_count="many"))
    dock.land_orders("1", order("o1"), order("p1", lines=[{"sku": "x" * 400}]))
    dock.land_orders("2", order("o2"))
    dock.land("shop/visitors/2025-03-02/a.csv", b"visitor_id,visits,company\nv,1,A\n")
    dock.load()
    with closing(connect(dock.settings)) as connection:
        backfills.hold(connection, "b", ["raw.shop.orders"], wall_clock())
        assert {str(h)[:10] for h in backfills.held(connection).values()} == {"backfill b"}
        assert backfills.held(connection, but="b") == {}
        connection.execute(
            "create table platform.batch_partitions as select 'm' as model, 'shop.orders' as input,"
            " batch_id, date '2025-03-01' as partition_on from raw_ledger.batches"
        )
    # Wider, under another name, and with rows that fit now.
    dock.change_contract("decimal(18,2)", "decimal(20,2)")
    dock.change_contract(
        "{name: item_count, data_type: bigint}",
        "{name: pieces, data_type: bigint, config: {meta: {aliases: [item_count]}}}",
    )
    dock.change_contract("[order_id], max_line_bytes: 100000", "[order_id], max_line_bytes: 300")
    dock.land_orders("later", order("o9"))
    steps = planned(dock, 2)
    assert [(each.files, each.first_on) for each in steps] == [(2, "2025-03-01")] * 2
    before = dock.query(PLACES), dock.query(DAYS)
    with pytest.raises(KeyboardInterrupt):
        read(dock, 0, steps[0], killed=True)
    assert (dock.query(PLACES), dock.query(DAYS), done(dock)) == (*before, [])
    for number, each in enumerate(steps):
        read(dock, number, each)
        assert done(dock) == list(range(number + 1))
    with closing(connect(dock.settings)) as connection:
        for entity in ("orders", "visitors"):
            finish(dock.settings, connection, "shop", entity)
    # One row is too long now. Its batch is a new one, and so is the one that touches its day.
    batches = {file.rsplit("/", 1)[-1]: batch for batch, file, *_ in dock.query(PLACES)}
    assert (batches["0.jsonl"], batches["1.jsonl"] > 4, batches["2.jsonl"]) == (1, True, 3)
    assert {batch for _, batch, _ in dock.query(DAYS)} == {1, batches["1.jsonl"], 3, 4}
    assert dock.load().files == 1
    state = dock.query(RAW), dock.query(PLACES), dock.quarantine()
    assert [row[:3] for row in state[0]][:2] == [("o0", "12.50", 2), ("o1", "12.50", 2)]
    with closing(connect(dock.settings)) as connection:
        replay_source(dock.settings, connection, "shop")
    assert (dock.query(RAW), dock.query(PLACES), dock.quarantine()) == state


@BOTH
def test_what_portions_cannot_do_is_said_before_anything_is_done(dock: Dock) -> None:
    file = dock.land_orders("a", order("o1"))
    dock.load()
    dock.change_contract("shipped_on, data_type: date", "shipped_on, data_type: varchar")
    with closing(connect(dock.settings)) as connection:
        assert "shipped_on holds date" in unfit(
            connection, read_contracts(dock.settings)["shop"]["orders"]
        )
    [step] = planned(dock, 9)
    with pytest.raises(SluiceError, match="sluice replay shop"):
        read(dock, 0, step)
    (dock.settings.data_dir / "landing" / file).unlink()
    with pytest.raises(SluiceError, match="not in the landing zone any more"):
        planned(dock, 9)
