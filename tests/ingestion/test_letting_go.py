"""What goes by policy, what stays because it is needed, and that nothing comes twice or is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from both_targets import BOTH
from dock import CONTRACTS, Dock, House, json_lines, order

from ingestion.load import set_aside
from ingestion.replay import replay_source
from ingestion.retention import planning, removal
from ingestion.retention.horizon import horizons
from ingestion.retention.planning import Plan, Readers
from ingestion.retention.protection import Protection, Reader
from ingestion.retention.removal import Removed
from warehouse.crash_points import POINTS
from warehouse.errors import ContractError, SluiceError
from warehouse.settings import PROJECT_ROOT
from warehouse.workshop import connect

NOW = datetime(2025, 4, 10, tzinfo=UTC)
KEPT = "schema: raw_shop\n    config: {meta: {retention: {landing_days: 30}}}"
BOTH_PARTS = "schema: raw_shop\n    config: {meta: {retention: {landing_days: 30, raw_days: 30}}}"
ORDERS = "format: jsonl, key: [order_id], max_line_bytes: 100000"
TOUCHED: Readers = {"shop.orders": [Reader("stg_orders", True)]}


def by_policy(dock: Dock, policy: str = KEPT) -> None:
    dock.settings = dock.settings.model_copy(update={"as_of": NOW})
    dock.contract(CONTRACTS.replace("schema: raw_shop", policy))


def planned(
    dock: Dock, readers: Readers | None = None, protections: Sequence[Protection] = ()
) -> Plan:
    with closing(connect(dock.settings)) as connection:
        return planning.plan(dock.settings, connection, readers or {}, protections)


def applied(dock: Dock, readers: Readers | None = None) -> tuple[Removed, ...]:
    with closing(connect(dock.settings)) as connection:
        found = planning.plan(dock.settings, connection, readers or {}, ())
        return removal.let_go(dock.settings, connection, found)


def replayed(dock: Dock) -> tuple[int, int]:
    with closing(connect(dock.settings)) as connection:
        result = replay_source(dock.settings, connection, "shop")
    assert result.refused == ()
    return result.rows, result.staying


def landed(dock: Dock) -> list[str]:
    root = Path(dock.settings.landing_url)
    return sorted(str(each.relative_to(root)) for each in (root / "shop").rglob("*.*"))


def why(plan: Plan) -> dict[str, str]:
    return {each.file.split("/")[-1]: each.because for each in plan.staying}


def land_on(dock: Dock, day: str, name: str, *orders: str) -> str:
    lines = json_lines(*(order(each) for each in orders))
    return dock.land(f"shop/orders/{day}/{name}.jsonl", lines)


@BOTH
def test_old_files_leave_landing_and_are_known_when_they_come_again(dock: Dock) -> None:
    by_policy(dock)
    old = land_on(dock, "2025-03-01", "a", "o1", "o2")
    dock.land("shop/orders/2025-03-01/.original/a.xlsx", b"what it was made from")
    young = land_on(dock, "2025-04-01", "b", "o3")
    dock.load()
    [item] = planned(dock).going
    assert (item.file, item.part, item.batches, item.rows) == (old, "landing", (1,), 2)
    assert item.size == (Path(dock.settings.landing_url) / old).stat().st_size
    [removed] = applied(dock)
    assert (removed.files, removed.rows, str(removed.until)) == (1, 2, "2025-03-01")
    assert landed(dock) == [young]
    assert applied(dock) == () and planned(dock) == Plan((), ())
    # Ledger, log and raw still know it.
    assert dock.query("select file, row_count from raw_ledger.batches where batch_id = 1") == [
        (old, 2)
    ]
    [event] = dock.log("let_go")
    assert (event["entity"], event["file_count"], event["row_count"]) == ("orders", 1, 2)
    with closing(connect(dock.settings)) as connection:
        assert [str(each) for each in horizons(connection)] == [
            "landing of shop.orders is gone until 2025-03-01 (1 file, 2 rows)"
        ]
    for again in ("2025-03-01", "2025-04-09"):
        land_on(dock, again, "a", "o1", "o2")
        assert (dock.load().rows, dock.load().refused) == (0, ())
    dock.land("shop/orders/2025-04-09/c.jsonl", json_lines(order("o4")))
    land_on(dock, "2025-04-08", "a", "another content under the same name")
    assert "received before, with other content" in dock.load().refused[0].reason
    # The old file is back where it was: it goes again.
    assert [each.file for each in planned(dock).going] == [old]


@BOTH
def test_what_somebody_needs_stays_and_says_why(dock: Dock) -> None:
    by_policy(dock, BOTH_PARTS)
    land_on(dock, "2025-03-01", "free", "o1")
    dock.land("shop/orders/2025-03-01/waits.jsonl", json_lines(order("o2"), "no json"))
    rubbish = land_on(dock, "2025-03-01", "rubbish", "o9")
    land_on(dock, "2025-03-01", "changed", "o3")
    land_on(dock, "2025-03-01", "needed", "o4")
    dock.load()
    set_aside(dock.settings, rubbish, "a test of theirs")
    land_on(dock, "2025-03-01", "changed", "o3", "o5")
    land_on(dock, "2025-03-01", "unloaded", "o6")
    needed = Protection("a backfill needs it", {"shop.orders"}, {3})
    plan = planned(dock, protections=[needed])
    assert why(Plan((), tuple(each for each in plan.staying if each.part == "landing"))) == {
        "waits.jsonl": "1 of its lines wait in quarantine for a replay",
        "changed.jsonl": "it is not what was loaded: the next load looks at it",
        "needed.jsonl": "a backfill needs it",
        "unloaded.jsonl": "it was never loaded",
    }
    assert {(each.part, each.file.split("/")[-1]) for each in plan.going} == {
        ("landing", "free.jsonl"), ("landing", "rubbish.jsonl"), ("raw", "free.jsonl"),
        ("raw", "changed.jsonl"),
    }  # fmt: skip
    # Who needs a state needs all that it was made of; who needs a source needs all of it.
    for held in (Protection("pinned", loaded_until=datetime.now(UTC)), Protection("shut")):
        assert planned(dock, protections=[held]).going == ()
    assert planned(dock, protections=[Protection("x", {"press.articles"})]).going
    # An entity's own word comes before its source's.
    dock.change_contract(ORDERS, f"{ORDERS}, retention: {{landing_days: null, raw_days: 50}}")
    assert planned(dock) == Plan((), ())


def books(dock: Dock, position: int) -> None:
    """As macros_lib keeps them for a model that has read so far."""
    with closing(connect(dock.settings)) as connection:
        for statement in (
            "create schema if not exists platform",
            "create table if not exists platform.sealed"
            " (model varchar, input varchar, partition_on date, position bigint)",
            "create table if not exists platform.progress"
            " (model varchar, input varchar, position bigint)",
            "create table if not exists platform.batch_partitions"
            " (model varchar, input varchar, batch_id bigint, partition_on date)",
            "delete from platform.progress",
            f"insert into platform.progress values ('stg_orders', 'shop.orders', {position})",
        ):
            connection.execute(statement)


def touches(dock: Dock, batch: int, *days: int) -> None:
    values = ", ".join(f"('stg_orders', 'shop.orders', {batch}, date '2025-03-{d}')" for d in days)
    dock.execute(f"insert into platform.batch_partitions values {values}")


SEALED = "select partition_on::varchar from platform.sealed order by 1"


@BOTH
def test_raw_rows_go_when_every_model_has_them_and_their_days_are_sealed(dock: Dock) -> None:
    by_policy(dock, BOTH_PARTS.replace("landing_days: 30, ", ""))
    land_on(dock, "2025-03-01", "a", "o1", "o2")
    land_on(dock, "2025-03-02", "b", "o3")
    land_on(dock, "2025-04-01", "c", "o4")
    dock.load()
    whole: Readers = {"shop.orders": [Reader("stg_all", False), Reader("stg_orders", True)]}
    assert set(why(planned(dock, whole)).values()) == {
        "stg_all is built anew from all of it each time"
    }
    assert "built once more" in why(planned(dock, TOUCHED))["a.jsonl"]
    books(dock, 2)
    assert why(planned(dock, TOUCHED))["a.jsonl"] == "stg_orders has batches to take in first"
    books(dock, 3)
    other: Readers = {"shop.orders": [Reader("stg_other", True)]}
    assert "does not say which" in why(planned(dock, other))["a.jsonl"]
    for batch, days in ((1, (10, 11)), (2, (11,)), (3, (12,))):
        touches(dock, batch, *days)
    [removed] = applied(dock, TOUCHED)
    assert (removed.part, removed.files, removed.rows) == ("raw", 2, 3)
    assert dock.column("select order_id from raw_shop.orders") == ["o4"]
    assert dock.column(SEALED) == ["2025-03-10", "2025-03-11"]
    # A row that comes later than the seal is in no model: it is held, and seen.
    land_on(dock, "2025-03-03", "late", "o5")
    dock.load()
    touches(dock, 4, 10)
    books(dock, 4)
    assert "came too late" in why(planned(dock, TOUCHED))["late.jsonl"]
    with closing(connect(dock.settings)) as connection:
        [horizon] = horizons(connection)
    assert horizon.late == 1 and "too late" in str(horizon)
    # Landing still has the rows: a replay puts them back and frees the days.
    (Path(dock.settings.landing_url) / "shop/orders/2025-03-02/b.jsonl").rename(
        Path(dock.settings.landing_url) / "kept_for_later"
    )
    with closing(connect(dock.settings)) as connection:
        assert replay_source(dock.settings, connection, "shop").refused[0].file.endswith("b.jsonl")
    dock.land("shop/orders/2025-03-02/b.jsonl", json_lines(order("o3")))
    assert replayed(dock) == (5, 0)
    assert dock.column(SEALED) == []
    assert applied(dock, TOUCHED) == ()
    with closing(connect(dock.settings)) as connection:
        assert removal.forget_seal(connection, "stg_orders") == {}


@BOTH
def test_a_replay_leaves_rows_that_landing_has_let_go_as_they_are(dock: Dock) -> None:
    by_policy(dock)
    land_on(dock, "2025-03-01", "old", "o1", "o2")
    land_on(dock, "2025-04-01", "young", "o3")
    dock.load()
    applied(dock)
    land_on(dock, "2025-04-02", "old", "o1", "o2")
    dock.load()
    raw = "select order_id, amount::varchar, item_count::varchar, _batch_id from raw_shop.orders"
    before = dock.query(f"{raw} order by 1")
    ledger = dock.query("select * from raw_ledger.batches order by batch_id")
    assert replayed(dock) == (1, 1)
    assert dock.query(f"{raw} order by 1") == before
    assert dock.query("select * from raw_ledger.batches order by batch_id") == ledger
    # Under a contract that has changed, as far as their values fit it.
    dock.change_contract("item_count, data_type: bigint", "item_count, data_type: varchar")
    replayed(dock)
    assert [row[:3] for row in dock.query(f"{raw} order by 1")] == [row[:3] for row in before]
    dock.change_contract("order_id, data_type: varchar", "order_id, data_type: bigint")
    with pytest.raises(ContractError, match=r"2 rows of shop\.orders .* do not fit"):
        replayed(dock)
    assert [row[:3] for row in dock.query(f"{raw} order by 1")] == [row[:3] for row in before]


APPLY = """
import sys
from pathlib import Path
from datetime import datetime, UTC
from dock import Dock, House
from test_letting_go import NOW, applied
applied(Dock(House(data_dir=Path(sys.argv[1]), landing="", as_of=NOW)))
"""
HERE = Path(__file__).parent


def killed_at(dock: Dock, point: str) -> None:
    paths = [str(each) for each in (HERE, HERE.parent, PROJECT_ROOT)]
    ended = subprocess.run(
        [sys.executable, "-c", APPLY, str(dock.settings.data_dir)],
        env={**os.environ, "SLUICE_CRASH_AT": point, "PYTHONPATH": os.pathsep.join(paths)},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == -9, ended.stderr


@pytest.mark.parametrize("point", [each for each in POINTS if each.startswith("retention.")])
@pytest.mark.parametrize("kind", ["kill", "full"])
def test_a_removal_that_is_ended_anywhere_is_carried_on(
    dock: Dock, monkeypatch: pytest.MonkeyPatch, point: str, kind: str
) -> None:
    by_policy(dock, BOTH_PARTS)
    for name in ("a", "b"):
        land_on(dock, "2025-03-01", name, name)
    young = land_on(dock, "2025-04-01", "c", "c")
    dock.load()
    if kind == "kill":
        killed_at(dock, point)
    else:
        monkeypatch.setenv("SLUICE_DISK_FULL_AT", point)
        with pytest.raises((OSError, SluiceError)):
            applied(dock)
        monkeypatch.delenv("SLUICE_DISK_FULL_AT")
    # In between, nothing is loaded twice and nothing that is needed is gone.
    assert dock.load().rows == 0
    assert dock.column("select order_id from raw_shop.orders") == ["c"]
    assert planned(dock).going == ()
    assert sum(each.files for each in applied(dock)) == 4
    assert landed(dock) == [young] and applied(dock) == ()
    assert len(dock.log("let_go")) == (4 if point == "retention.logged" else 2)
    with closing(connect(dock.settings)) as connection:
        assert [each.unfinished for each in horizons(connection)] == [0, 0]


def test_a_place_that_refuses_says_so_and_the_next_removal_carries_on(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_policy(dock)
    land_on(dock, "2025-03-01", "a", "o1")
    dock.load()
    day = Path(dock.settings.landing_url) / "shop/orders/2025-03-01"
    (day / "a.jsonl").rename(day / "aside")
    (day / "a.jsonl").mkdir()
    with closing(connect(dock.settings)) as connection:
        connection.execute(
            "insert into raw_ledger.let_go values ('landing', 'shop', 'orders',"
            " 'shop/orders/2025-03-01/a.jsonl', date '2025-03-01', 1, 1, now(), null)"
        )
    with pytest.raises(SluiceError, match=r"a\.jsonl cannot be removed"):
        applied(dock)
    (day / "a.jsonl").rmdir()
    assert [each.files for each in applied(dock)] == [1]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("{landing_dayz: 3}", "says landing_days and raw_days"),
        ("30", "says landing_days and raw_days"),
        ("{raw_days: 0}", "counts whole days"),
        ("{raw_days: soon}", "counts whole days"),
    ],
)
def test_a_policy_that_is_not_understood_names_the_file(dock: Dock, said: str, fault: str) -> None:
    dock.change_contract(ORDERS, f"{ORDERS}, retention: {said}")
    with pytest.raises(ContractError, match=rf"contracts\.yml: shop\.orders .*{fault}"):
        dock.load()


def test_the_platform_keeps_its_own_log_in_landing(tmp_path: Path) -> None:
    dock = Dock(House(data_dir=tmp_path, landing=""))
    dock.contract(CONTRACTS.replace("name: press", "name: platform").replace(
        "schema: raw_press", "schema: raw_press\n    config: {meta: {retention: {landing_days: 9}}}"
    ))  # fmt: skip
    with pytest.raises(ContractError, match="reads its own log in landing"):
        planning.has_policy(dock.settings)
