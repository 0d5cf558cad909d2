"""Backup and restore: small things written once, large ones by their blocks, damage by its name."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from warehouse_shop import build, markers, plan

from warehouse import platform_log, retention, snapshots
from warehouse.backups import inventory
from warehouse.backups.inventory import Backup
from warehouse.backups.place import PART_BYTES, Place
from warehouse.backups.restoring import restore
from warehouse.backups.taking import take
from warehouse.errors import LockedError, SettingsError, SluiceError
from warehouse.publish import publish
from warehouse.settings import Settings
from warehouse.workshop import writing


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    """A warehouse of two published snapshots, one of them pinned, and what its sources sent."""
    here = Settings(data_dir=tmp_path / "data", backups=str(tmp_path / "place"))
    land(here, "app/users/2026-01-01/1.jsonl", "{}")
    for marker in (1, 2):
        build(here, marker)
        publish(here, plan(), "run")
    retention.pin(here, snapshots.ids(here)[1], "the audit", "ada")
    return here


def land(here: Settings, path: str, content: str) -> Path:
    file = Path(here.landing_url) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def whole(url: str) -> list[Backup]:
    return [each for each in inventory.whole(Place(url)) if isinstance(each, Backup)]


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def part_file(here: Settings, area: str) -> Path:
    part = whole(here.backups)[0].area(area)[0].parts[0]
    return Path(here.backups) / "parts" / part[:2] / part


def test_what_is_there_is_not_written_again(here: Settings) -> None:
    first = take(here, here.backups).backup
    second = take(here, here.backups).backup
    assert second.bytes_added < 1000 < first.bytes_added
    large = here.data_dir / "landing" / "app" / "users" / "2026-01-02" / "large.jsonl"
    large.parent.mkdir()
    large.write_bytes(os.urandom(2 * PART_BYTES + 5))
    assert take(here, here.backups).backup.bytes_added > 2 * PART_BYTES
    with large.open("ab") as file:
        file.write(b"one more line\n")
    third = take(here, here.backups).backup
    assert third.bytes_added < 10_000
    [kept] = [each for each in third.area("landing") if each.path.endswith("large.jsonl")]
    assert len(kept.parts) == 3 and kept.size == 2 * PART_BYTES + 19


def test_the_newest_stay_with_all_that_they_need(here: Settings) -> None:
    made = [take(here, here.backups).backup]
    land(here, "app/users/2026-01-02/2.jsonl", "{}" * 100)
    (Path(here.landing_url) / "app/users/2026-01-01/1.jsonl").unlink()
    made += [take(here, here.backups, keep=2).backup for _ in range(2)]
    assert [each.backup_id for each in whole(here.backups)] == [
        each.backup_id for each in reversed(made[1:])
    ]
    stored = {each.name for each in (Path(here.backups) / "parts").rglob("*") if each.is_file()}
    assert stored == made[1].parts | made[2].parts
    assert inventory.problems(Place(here.backups), whole(here.backups)) == {
        each.backup_id: [] for each in made[1:]
    }


def test_while_an_inventory_cannot_be_read_no_part_is_let_go(here: Settings) -> None:
    made = [take(here, here.backups).backup for _ in range(3)]
    damage(Path(here.backups) / "backups" / f"{made[1].backup_id}.backup")
    take(here, here.backups, keep=3)
    stored = {each.name for each in (Path(here.backups) / "parts").rglob("*") if each.is_file()}
    assert stored >= made[0].parts
    assert len(whole(here.backups)) == 2
    with pytest.raises(SluiceError, match=f"{made[1].backup_id}.backup holds other bytes"):
        inventory.find(Place(here.backups), made[1].backup_id)


@pytest.mark.parametrize("area", ["landing", "workshop", "snapshots"])
def test_a_flipped_byte_is_refused_by_name_and_replaces_nothing(here: Settings, area: str) -> None:
    take(here, here.backups)
    part = part_file(here, area)
    damage(part)
    build(here, 3)
    before = here.workshop_path.read_bytes()
    (Path(here.landing_url) / "app/users/2026-01-01/1.jsonl").unlink()
    for path in snapshots.folder(here).iterdir():
        path.unlink()
    with pytest.raises(SluiceError, match=f"{part.name} holds other bytes"):
        restore(here, here.backups, replace=True)
    assert here.workshop_path.read_bytes() == before
    [backup] = whole(here.backups)
    [problem, *_] = inventory.problems(Place(here.backups), [backup])[backup.backup_id]
    assert problem.startswith(f"{area}/") and part.name in problem


def test_all_of_it_comes_back_where_nothing_is(here: Settings, tmp_path: Path) -> None:
    there = Settings(data_dir=tmp_path / "elsewhere")
    secret = snapshots.clear_path(here, snapshots.ids(here)[0])
    secret.parent.mkdir(mode=0o700, exist_ok=True)
    secret.write_bytes(b"in clear")
    secret.chmod(0o600)
    land(here, "app/.connector/users/000000000001.json", '{"cursor": 1}')
    (here.data_dir / "landing" / "app" / "users" / ".2.jsonl.tmp").write_text("half")
    take(here, here.backups)
    found = restore(there, here.backups)
    assert markers(there) == markers(here)
    assert snapshots.ids(there) == snapshots.ids(here)
    assert {each: str(pin) for each, pin in retention.pins(there).items()} == {
        each: str(pin) for each, pin in retention.pins(here).items()
    }
    clear = snapshots.clear_path(there, snapshots.ids(there)[0])
    assert clear.read_bytes() == b"in clear"
    assert (clear.stat().st_mode & 0o777, clear.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (Path(there.landing_url) / "app/.connector/users/000000000001.json").exists()
    assert not list(there.data_dir.rglob("*.tmp"))
    assert found.last_received == {"app.users": "app/users/2026-01-01/1.jsonl"}
    stamps = [
        (Path(each.landing_url) / "app/users/2026-01-01/1.jsonl").stat().st_mtime_ns
        for each in (here, there)
    ]
    assert stamps[0] == stamps[1]
    [event] = [e for e in platform_log.read_newest_first(there, "backups")]
    assert event["event"] == "restored"


def test_landing_is_mended_and_what_is_newer_stays(here: Settings) -> None:
    take(here, here.backups)
    file = land(here, "app/users/2026-01-01/1.jsonl", "{")
    land(here, "app/users/2026-01-02/2.jsonl", "{}")
    event = {"outcome": "loaded", "source": "app", "entity": "users", "file_count": 3}
    platform_log.append(here, "loads", [event])
    found = restore(here, here.backups, replace=True)
    assert found.mended == ("app/users/2026-01-01/1.jsonl",) and file.read_text() == "{}"
    [beside] = file.parent.glob(".*")
    assert beside.read_text() == "{"
    assert (found.newer, found.put_back) == ({"app.users": 1}, ())
    # Three files were loaded since, one of them is still there.
    assert found.lost == {"app.users": 2}


def test_a_warehouse_that_is_there_is_not_replaced_unasked(here: Settings) -> None:
    take(here, here.backups)
    build(here, 3)
    before = here.workshop_path.read_bytes()
    with pytest.raises(SluiceError, match="There is a warehouse already"):
        restore(here, here.backups)
    on_a_server = here.model_copy(update={"target": "postgres"})
    with pytest.raises(SettingsError, match="SLUICE_TARGET=duckdb"):
        restore(on_a_server, here.backups)
    assert here.workshop_path.read_bytes() == before


def test_consumers_are_not_taken_back_unless_there_is_nothing_else(here: Settings) -> None:
    then = take(here, here.backups).backup.snapshot_id
    build(here, 3)
    now = publish(here, plan(), "run").snapshot_id
    [note] = restore(here, here.backups, replace=True).notes
    assert snapshots.current_id(here) == now and now in note
    snapshots.snapshot_path(here, now).write_bytes(b"broken")
    assert restore(here, here.backups, replace=True).notes == ()
    assert snapshots.current_id(here) == then and set(markers(here).values()) == {2}


def test_a_journal_of_the_old_workshop_is_not_played_into_the_new(here: Settings) -> None:
    take(here, here.backups)
    content = here.workshop_path.read_bytes()
    here.workshop_path.with_name("workshop.duckdb.wal").write_bytes(b"of another file")
    restore(here, here.backups, replace=True)
    assert here.workshop_path.read_bytes() == content
    assert not here.workshop_path.with_name("workshop.duckdb.wal").exists()


def test_a_backup_is_the_writers_turn(here: Settings) -> None:
    hasty = here.model_copy(update={"lock_wait_seconds": 0})
    with writing(here, "a run"), pytest.raises(LockedError, match="a run"):
        take(hasty, here.backups)
    with Place(here.backups).alone(), pytest.raises(LockedError, match="Another"):
        take(here, here.backups)


def test_landing_and_backups_may_lie_in_object_stores(here: Settings, tmp_path: Path) -> None:
    remote = f"memory://{uuid.uuid4().hex}"
    far = Settings(data_dir=here.data_dir, landing=f"{remote}/landing")
    platform_log.append(far, "runs", [{"event": "started"}])
    first = take(far, f"{remote}/place").backup
    assert take(far, f"{remote}/place", keep=1).removed == (first.backup_id,)
    there = Settings(data_dir=tmp_path / "elsewhere", landing=f"{remote}/other")
    found = restore(there, f"{remote}/place")
    assert len(found.put_back) == 2 and markers(there) == markers(here)
    assert platform_log.newest(there, "runs") == platform_log.newest(far, "runs")
