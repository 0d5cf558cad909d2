"""Publishing switches every reader from one whole snapshot to the next, or does nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from platform_under_test import NO_PROMPT
from warehouse_shop import NAMES, SINCE, build, markers, plan

from warehouse import differences, platform_log, snapshots, switching, workshop
from warehouse.errors import LockedError, PublishError, SluiceError
from warehouse.publish import PublicTable, publish
from warehouse.settings import PROJECT_ROOT, Settings


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", as_of="2026-04-01T00:00:00+00:00")


def test_a_snapshot_holds_the_tables_their_order_comments_and_states(here: Settings) -> None:
    build(here, 1)
    snapshot = publish(here, plan(), "run-1")
    assert snapshot.is_current and not snapshot.stale
    connection = duckdb.connect(str(here.published_path), read_only=True)
    first = connection.execute("select position from published.orders limit 3").fetchall()
    assert first == [(0,), (1,), (2,)]
    comments = connection.execute(
        "select column_name, comment from duckdb_columns() where table_name = 'orders'"
    ).fetchall()
    assert comments == [("marker", "Which build it was."), ("position", None)]
    states = connection.execute(
        "select table_name, state, row_count, owner from published._snapshot order by 1"
    ).fetchall()
    connection.close()
    assert states == [(name, "fresh", 1000, "finance") for name in sorted(NAMES)]
    assert not list(snapshots.folder(here).glob(".*"))
    [event] = list(platform_log.read_newest_first(here, "publishes"))
    assert (event["event"], event["snapshot_id"]) == ("published", snapshot.snapshot_id)


def test_withheld_tables_stay_as_they_were_and_say_why(either: Settings) -> None:
    here = either.model_copy(update={"keep_snapshots": 5})
    build(here, 1)
    first = publish(here, plan(), "run-1")
    for marker in (2, 3):
        build(here, marker)
        snapshot = publish(here, plan("totals"), f"run-{marker}")
        assert markers(here) == {"orders": marker, "customers": marker, "totals": 1}
        totals = snapshot.table("totals")
        assert totals is not None
        assert (totals.state, totals.shows_snapshot) == ("stale", first.snapshot_id)
        assert (totals.shows_since, totals.stale_since) == (first.published_at, SINCE)
        assert totals.reason == "gate raw.shop.orders is closed"
    assert markers(here, first.snapshot_id)["orders"] == 1
    snapshot = publish(here, plan(), "run-4")
    assert markers(here)["totals"] == 3 and not snapshot.stale


def test_a_table_that_never_passed_is_absent_and_named(either: Settings) -> None:
    here = either
    build(here, 1)
    for _ in range(2):
        snapshot = publish(here, plan("totals"), "run-1")
        assert set(markers(here)) == {"orders", "customers"}
        assert [(each.name, each.state) for each in snapshot.stale] == [("totals", "absent")]


def test_a_table_that_was_never_built_publishes_nothing(either: Settings) -> None:
    here = either
    build(here, 1)
    before = publish(here, plan(), "run-1")
    with pytest.raises(PublishError, match=r"marts\.nothing cannot be published"):
        publish(here, [*plan(), PublicTable("nothing", "marts.nothing", True)], "run-2")
    assert snapshots.current_id(here) == before.snapshot_id
    build(here, 2)  # the workshop is usable, nothing stayed attached
    publish(here, plan(), "run-3")
    assert set(markers(here).values()) == {2}


def test_the_last_n_are_kept_and_rolling_back_is_a_switch(either: Settings) -> None:
    here = either.model_copy(update={"keep_snapshots": 3})
    made = []
    for marker in range(5):
        build(here, marker)
        made.append(publish(here, plan(), "run").snapshot_id)
    assert snapshots.ids(here) == list(reversed(made[2:]))
    back = switching.roll_back(here, made[2])
    assert back.is_current and set(markers(here).values()) == {2}
    # The current one is the oldest now, and is kept all the same until a publish passes it.
    build(here, 9)
    newest = publish(here, plan("totals"), "run").snapshot_id
    assert markers(here) == {"orders": 9, "customers": 9, "totals": 2}
    assert snapshots.ids(here)[0] == newest and len(snapshots.ids(here)) == 3
    with pytest.raises(PublishError, match="is not kept"):
        switching.roll_back(here, made[0])
    assert snapshots.current_id(here) == newest


def test_the_difference_of_two_snapshots_is_told_by_table(either: Settings) -> None:
    here = either
    build(here, 1)
    before = publish(here, plan(), "run-1").snapshot_id
    connection = workshop.connect(here)
    connection.execute(
        "drop table marts.orders; create table marts.orders as select 1 as marker, 7 as extra"
    )
    connection.close()
    after = publish(here, plan(), "run-2").snapshot_id
    found = {each.name: each for each in differences.differences(here, before, after)}
    assert found["totals"].same_content and not found["orders"].same_content
    assert (found["totals"].rows_before, found["totals"].rows_after) == (1000, 1000)
    orders = found["orders"]
    assert (orders.rows_before, orders.rows_after) == (1000, 1)
    assert (orders.columns_added, orders.columns_removed) == (("extra",), ("position",))


def test_nothing_published_yet_is_said_plainly(either: Settings) -> None:
    here = either
    assert snapshots.current(here) is None
    with pytest.raises(PublishError, match="Nothing is published yet"):
        snapshots.open_published(here)


def test_a_reader_of_the_snapshot_reaches_nothing_else(here: Settings, tmp_path: Path) -> None:
    build(here, 1)
    publish(here, plan(), "run-1")
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    connection = snapshots.open_published(here)
    for statement in (
        f"select * from read_csv('{secret}')",
        f"attach '{tmp_path / 'x.duckdb'}' as x",
        "set enable_external_access = true",
        "delete from orders",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)
    connection.close()


READER = """
import json, sys, time
from pathlib import Path
from warehouse import snapshots
from warehouse.settings import Settings
here, stop = Settings(data_dir=Path(sys.argv[1])), Path(sys.argv[2])
seen, reads = set(), 0
while not stop.exists():
    connection = snapshots.open_published(here)
    found = connection.execute(
        "select distinct marker from (select marker from orders union all"
        " select marker from customers union all select marker from totals)").fetchall()
    rows = connection.execute("select count(*), count(distinct position) from orders").fetchone()
    connection.close()
    assert len(found) == 1 and rows == (200, 200), (found, rows)
    assert found[0][0] >= 0, "a row that no gate let through"
    if not seen:
        print("reading", flush=True)
    seen.add(found[0][0]); reads += 1
    time.sleep(0.06)
print(json.dumps({"reads": reads, "seen": len(seen)}))
"""

RAW_READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
print(connection.execute("select max(marker) from published.orders").fetchone()[0], flush=True)
sys.stdin.readline()
print(connection.execute(
    "select count(*), max(marker), max(position) from published.orders").fetchone(), flush=True)
"""


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", NO_PROMPT + script, *map(str, arguments)],
        cwd=PROJECT_ROOT,
        env={**os.environ, "PYTHONPATH": f"{PROJECT_ROOT}:{Path(__file__).parent}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_readers_in_other_processes_see_whole_snapshots_through_many_publishes(
    tmp_path: Path,
) -> None:
    """Rolled back and pruned meanwhile, and between the publishes the workshop is full of rows
    that no gate let through.
    """
    count = 500 if os.environ.get("SLUICE_TEST_ALL") else 120
    # Two kept: files are let go under the readers' hands as fast as can be.
    here = Settings(data_dir=tmp_path / "data", keep_snapshots=2, keep_days=0)
    build(here, 0, 200)
    publish(here, plan(), "run")
    stop = tmp_path / "stop"
    readers = [python(READER, here.data_dir, stop) for _ in range(2)]
    slow = python(RAW_READER, here.published_path)
    for each, first in ((slow, "0"), *((reader, "reading") for reader in readers)):
        assert each.stdout is not None
        assert each.stdout.readline().strip() == first
    try:
        connection = workshop.connect(here)
        for marker in range(1, count + 1):
            for name in NAMES:
                connection.execute(f"update marts.{name} set marker = {marker}")
            made = publish(here, plan(), "run")
            for name in NAMES:
                connection.execute(f"update marts.{name} set marker = -{marker}")
            if marker % 10 == 0:
                switching.roll_back(here, snapshots.ids(here)[-1])
                switching.roll_back(here, made.snapshot_id)
            if marker % 40 == 0:
                withheld = publish(here, plan(*NAMES), "run")
                assert len(withheld.stale) == len(NAMES)
        connection.close()
    finally:
        stop.touch()
    for reader in readers:
        out, err = reader.communicate(timeout=60)
        assert reader.returncode == 0, err
        found = json.loads(out)
        assert found["reads"] >= 20 and found["seen"] >= 10, found
    # A reader that kept an old file open still reads it, though it is no longer kept.
    out, err = slow.communicate("\n", timeout=60)
    assert out.strip() == "(200, 0, 199)", err
    assert set(markers(here).values()) == {count}


PUBLISHER = """
import sys
from pathlib import Path
from warehouse.publish import publish
from warehouse.settings import Settings
from warehouse_shop import build, plan
here, marker = Settings(data_dir=Path(sys.argv[1])), int(sys.argv[2])
build(here, marker, int(sys.argv[3]))
while True:
    publish(here, plan(), "run")
"""


def test_a_publish_killed_at_any_moment_leaves_one_whole_snapshot_current(here: Settings) -> None:
    build(here, 0)
    publish(here, plan(), "run")
    met_half_way = 0
    for round_, delay in enumerate((0.0, 0.01, 0.02, 0.04, 0.07, 0.11), start=1):
        publisher = python(PUBLISHER, here.data_dir, round_, 100_000)
        while not list(snapshots.folder(here).glob(".*.tmp")) and publisher.poll() is None:
            time.sleep(0.001)
        time.sleep(delay)
        publisher.send_signal(signal.SIGKILL)
        publisher.communicate()
        met_half_way += bool(list(snapshots.folder(here).glob(".*.tmp*")))
        current = snapshots.current(here)
        assert current is not None and len(current.tables) == len(NAMES)
        for snapshot_id in snapshots.ids(here):
            assert len(set(markers(here, snapshot_id).values())) == 1
        assert set(markers(here).values()) <= set(range(round_ + 1))
    assert met_half_way
    build(here, 99)
    publish(here, plan(), "run")
    assert set(markers(here).values()) == {99}
    assert not list(snapshots.folder(here).glob(".*"))
    assert not list(here.published_dir.glob(".*.tmp"))


FILLED = """
import resource, signal, sys
from pathlib import Path
from warehouse.errors import SluiceError
from warehouse.publish import publish
from warehouse.settings import Settings
from warehouse_shop import plan
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    publish(Settings(data_dir=Path(sys.argv[1])), plan(), "run")
except SluiceError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_previous_snapshot_and_says_what_to_do(here: Settings) -> None:
    build(here, 1)
    before = publish(here, plan(), "run-1")
    build(here, 2, 500_000)
    out, err = python(FILLED, here.data_dir, 300_000).communicate(timeout=60)
    assert "is full: nothing was published, the previous snapshot is still served" in out, err
    assert "Free space" in out
    assert snapshots.current_id(here) == before.snapshot_id
    assert set(markers(here).values()) == {1}
    assert not list(snapshots.folder(here).glob(".*"))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """A file system of its own; False where only root may make one, and we are not."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True
    )
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_anywhere_in_a_publish_leaves_the_previous_snapshot(
    tmp_path: Path,
) -> None:
    """Really full: the room that is left grows by a block at a time until the publish fits."""
    with small_disk(tmp_path / "disk", 24_000_000) as is_real:
        here = Settings(data_dir=tmp_path / "disk" / "data", keep_snapshots=2)
        build(here, 1, 100_000)
        size = publish(here, plan(), "run-1").size_bytes
        build(here, 2, 100_000)
        ballast = tmp_path / "disk" / "ballast"
        refused = 0
        for room in range(0, 12_000_000, 500_000):
            if is_real:
                disk = os.statvfs(tmp_path / "disk")
                with ballast.open("wb") as file:
                    os.posix_fallocate(
                        file.fileno(), 0, max(disk.f_bavail * disk.f_frsize - room, 1)
                    )
                limit = 1 << 40
            else:
                limit = max(room * size // 6_000_000, 1)
            out, err = python(FILLED, here.data_dir, limit).communicate(timeout=60)
            ballast.unlink(missing_ok=True)
            assert set(markers(here).values()) == ({1} if out else {2}), (room, out, err)
            if not out:
                break
            refused += 1
            assert "is full: nothing was published" in out, (room, out, err)
        assert refused > 0 and set(markers(here).values()) == {2}
        assert not list(snapshots.folder(here).glob(".*"))


HOLDER = """
import sys
from pathlib import Path
from warehouse import snapshots, switching, workshop
from warehouse.settings import Settings
here = Settings(data_dir=Path(sys.argv[1]))
if sys.argv[2] == "workshop":
    connection = workshop.connect(here)
    print("held", flush=True); sys.stdin.readline()
else:
    with switching.exclusive(here):
        print("held", flush=True); sys.stdin.readline()
"""


@pytest.mark.parametrize("what", ["workshop", "publish"])
def test_what_another_process_holds_is_named(here: Settings, what: str) -> None:
    build(here, 1)
    before = publish(here, plan(), "run-1")
    holder = python(HOLDER, here.data_dir, what)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    try:
        with pytest.raises(LockedError) as raised:
            publish(here, plan(), "run-2")
        assert raised.value.remedy and "another process" in raised.value.what.lower()
    finally:
        holder.communicate("\n")
    assert snapshots.current_id(here) == before.snapshot_id
    assert publish(here, plan(), "run-3").is_current


def test_a_foreign_file_among_the_snapshots_is_named(here: Settings) -> None:
    build(here, 1)
    publish(here, plan(), "run-1")
    duckdb.connect(str(snapshots.snapshot_path(here, "20200101-000000-000000"))).close()
    with pytest.raises(SluiceError, match="is not a snapshot that Sluice made"):
        snapshots.show(here, "20200101-000000-000000")
    snapshots.snapshot_path(here, "20200101-000000-000001").write_bytes(os.urandom(5000))
    with pytest.raises(SluiceError, match="cannot be opened"):
        snapshots.show(here, "20200101-000000-000001")
