"""Files that people set aside: never loaded, or taken back, and remembered wherever."""

from __future__ import annotations

import re
import shlex
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from both_targets import BOTH
from dock import Dock, json_lines, order

from ingestion.load import load_all, pending, set_aside
from ingestion.replay import replay_source
from ingestion.simulator import simulate
from warehouse import dbt
from warehouse.settings import Settings
from warehouse.workshop import connect


@BOTH
def test_a_workshop_that_is_rebuilt_passes_the_same_files_by(dock: Dock) -> None:
    dock.land_orders("a", order("o1"))
    broken = dock.land_orders("b", {"order_id": "o2"})
    test_data = dock.land_orders("c", order("o3"))
    set_aside(dock.settings, broken, "no amount")
    dock.load()
    set_aside(dock.settings, test_data, "test data")
    dock.lose_the_workshop()
    with closing(connect(dock.settings)) as connection:
        assert pending(dock.settings, connection)["shop"] == ["shop/orders/2025-03-01/a.jsonl"]
    assert dock.load().refused == ()
    assert dock.column("select order_id from raw_shop.orders") == ["o1"]
    assert dock.query("select file, because from raw_ledger.set_aside order by 1") == [
        (broken, "no amount"), (test_data, "test data"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a", "it's a"])
def test_a_refusal_names_the_whole_command_that_passes_the_file_by(dock: Dock, name: str) -> None:
    dock.change_contract("format: jsonl, key: [order_id]", "format: jsonl, on_drift: freeze")
    dock.land_orders(name, order("o1", coupon=1))
    [refusal] = dock.load().refused
    command = shlex.split(refusal.remedy[refusal.remedy.index("sluice set-aside") :])
    assert command[:2] == ["sluice", "set-aside"]
    assert command[3:4] == ["--because"]
    assert len(command) == 5
    set_aside(dock.settings, command[2], command[4])
    assert dock.load().refused == ()


@BOTH
def test_a_loaded_file_that_is_set_aside_takes_its_rows_with_it(dock: Dock) -> None:
    dock.land_orders("a", order("o1"))
    bad = dock.land_orders("b", order("o2"), order("o3"), "no json")
    again = dock.land("shop/orders/2025-03-02/b.jsonl", (dock_file(dock, bad)).read_bytes())
    dock.load()
    assert set_aside(dock.settings, bad, "test data") == 2
    assert set_aside(dock.settings, bad, "test data") == 0
    assert dock.column("select order_id from raw_shop.orders") == ["o1"]
    assert dock.quarantine() == []
    assert [event["file"] for event in dock.log("set_aside")] == [again, bad]
    assert dock.load().entities == {}
    # A later batch never gets a number that a model has read past.
    before = dock.column("select max(batch_id) from raw_ledger.batches")[0]
    with closing(connect(dock.settings)) as connection:
        assert replay_source(dock.settings, connection, "shop").rows == 1
    dock.land_orders("c", order("o4"))
    dock.load()
    [number] = dock.column("select _batch_id from raw_shop.orders where order_id = 'o4'")
    assert number > before


@BOTH
def test_a_batch_that_was_taken_back_is_refused_when_it_is_sent_again(dock: Dock) -> None:
    bad = dock.land_orders("b", order("o2"))
    dock.load()
    set_aside(dock.settings, bad, "test data")
    file = dock.land("shop/orders/2025-03-02/b.jsonl", json_lines(order("o2")))
    [refusal] = dock.load().refused
    assert (refusal.file, bad in refusal.reason) == (file, True)
    with closing(connect(dock.settings)) as connection:
        [refusal] = replay_source(dock.settings, connection, "shop").refused
    assert refusal.file == file
    set_aside(dock.settings, file, "the same test data")
    assert (dock.load().refused, dock.column("select * from raw_shop.orders")) == ((), [])


def test_a_load_carries_on_where_a_killed_set_aside_ended(dock: Dock) -> None:
    """The log comes first; all that follows from it can be done later."""
    bad = dock.land_orders("b", order("o2"))
    dock.load()
    workshop = dock.settings.workshop_path
    kept = workshop.with_name("kept")
    shutil.copy(workshop, kept)
    set_aside(dock.settings, bad, "test data")
    shutil.move(kept, workshop)
    assert dock.column("select order_id from raw_shop.orders") == ["o2"]
    dock.load()
    assert dock.column("select order_id from raw_shop.orders") == []


def dock_file(dock: Dock, path: str) -> Path:
    return Path(dock.settings.landing_url) / path


MODELS = ("stg_events__product_events", "fct_feature_usage_daily", "fct_user_activity_daily")


def test_models_rebuild_only_the_days_of_a_file_that_is_taken_back(tmp_path: Path) -> None:
    house = Settings(data_dir=tmp_path, landing="")
    simulate.run(house, days=60)
    with closing(connect(house)) as connection:
        load_all(house, connection)
    build(house, "seed")
    build(house, "run", "--select", "fct_product_events", *MODELS)
    before = content(house)
    file = sorted((tmp_path / "landing" / "events" / "events" / "2025-02-10").iterdir())[0]
    rows = set_aside(house, str(file.relative_to(tmp_path / "landing")), "a machine's traffic")
    assert rows > 0
    days = [re.search(r"in (\w+) days", each) for each in build(house, "run", "--select", *MODELS)]
    assert all(found and 1 <= int(found[1]) <= 12 for found in days)
    after = content(house)
    assert before != after
    build(house, "run", "--full-refresh", "--select", *MODELS)
    assert content(house) == after


def build(house: Settings, *command: str) -> list[str]:
    outcome = dbt.run(house, command)
    assert outcome.success, [node.message for node in outcome.nodes]
    return [node.message for node in outcome.nodes]


def content(house: Settings) -> list[tuple[int, int]]:
    with closing(connect(house)) as connection:
        return [
            connection.execute(
                f"select count(*), sum(hash(t)::hugeint) from {schema}.{name} as t"
            ).fetchall()[0]
            for name in MODELS
            for schema in ("staging" if name.startswith("stg") else "curated",)
        ]
