"""At every named point of a run the process is killed, or the disk is full: nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import planted
import psycopg
import pytest
from crash.company import DAYS, LAST_STEP, SELECTION, Company, Ended, Tables, warm_for
from crash.matrix import Visit, chains, every_visit, here, page
from platform_under_test import sluice_in
from postgres_fixtures import new_database
from postgres_server import PostgresServer

from warehouse import retention, snapshots
from warehouse.backups import inventory
from warehouse.backups.place import Place
from warehouse.settings import PROJECT_ROOT

REFERENCE = PROJECT_ROOT / "docs" / "reference" / "crash_matrix.md"
UPDATE = "UPDATE_REFERENCE=1 .venv/bin/python -m pytest tests/crash -k page"
FULL = ("is full", "No space left")
AFTER_THE_SWITCH = ("pointer.switched", "publish.pruned", "publish.logged")


@dataclass(frozen=True)
class Bases:
    """The company before its first run, before and after its next; and what is right after each."""

    landed: Company
    published: Company
    next_day: Company
    built: Company
    done: Company
    place: str
    """Where the backup lies that was made after the first run."""

    @property
    def first_tables(self) -> Tables:
        return self.published.published()

    @property
    def next_tables(self) -> Tables:
        return self.done.published()


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bases]:
    folder = tmp_path_factory.mktemp("crash")
    here = folder / "landed"
    sluice_in(here)("simulate", "--days", str(DAYS))
    sluice_in(here)("doctor", code=None)
    warm = warm_for(here)
    landed = Company(here, warm)
    published = landed.copy(folder / "published")
    published("run", *SELECTION)
    published("backup", "--to", str(folder / "place"))
    next_day = published.copy(folder / "next")
    next_day("simulate", "--next-day")
    built = next_day.copy(folder / "built")
    built.killed_at("publish.begun", "run", *SELECTION)
    done = built.copy(folder / "done")
    done("run", *LAST_STEP)
    yield Bases(landed, published, next_day, built, done, str(folder / "place"))
    warm.close()


def end(company: Company, visit: Visit, *arguments: str) -> Ended:
    if visit.kind == "kill":
        return company.killed_at(visit.at, *arguments)
    ended = company.full_at(visit.at, *arguments)
    assert ended.code != 0 and any(sign in ended.output for sign in FULL), (visit, ended.output)
    return ended


def of(*commands: str) -> pytest.MarkDecorator:
    """The chains of these commands."""
    found = [each for each in chains() if each[0].command in commands]
    named = [str(each[0]) if len(each) == 1 else f"{each[0].command}-chain" for each in found]
    return pytest.mark.parametrize("chain", found, ids=named)


@of("run", "publish")
def test_a_run_that_is_ended_anywhere_leaves_a_whole_snapshot_and_the_next_run_is_right(
    bases: Bases, tmp_path: Path, chain: tuple[Visit, ...]
) -> None:
    [(command, phase)] = {(each.command, each.phase) for each in chain}
    base = bases.landed if phase == "first" else bases.next_day
    arguments = SELECTION
    if command == "publish":
        base, arguments = bases.built, LAST_STEP
    before = {} if phase == "first" else bases.first_tables
    after = bases.first_tables if phase == "first" else bases.next_tables
    company = base.copy(tmp_path / "company")

    allowed = [before, after]
    for visit in chain:
        end(company, visit, "run", *arguments)
        if visit.point in AFTER_THE_SWITCH:
            allowed = [after]
        assert company.published() in allowed, visit
        # What consumers have seen once is not taken back.
        allowed = allowed[allowed.index(company.published()) :]
        for tables in company.kept():
            assert tables in (before, after), visit

    company("run", *arguments)
    assert company.published() == after
    assert company.leftovers() == []
    assert set(company.gates().values()) == {"open"}
    assert snapshots.current_id(company.settings) == company.switches()[0]
    if any(visit.point == "pointer.switched" for visit in chain):
        # The switch that nobody could tell any more is told by the next publish.
        assert len(set(company.switches())) >= 2
    for file in (company.settings.data_dir / "landing" / "platform").rglob("*.jsonl"):
        assert [json.loads(each) for each in file.open()]


@of("rollback")
def test_a_roll_back_that_is_ended_anywhere_has_happened_or_not(
    bases: Bases, tmp_path: Path, chain: tuple[Visit, ...]
) -> None:
    [visit] = chain
    company = bases.done.copy(tmp_path / "company")
    now, earlier = snapshots.ids(company.settings)
    end(company, visit, "published", "rollback", earlier)
    is_back = visit.point in ("pointer.switched", "rollback.logged", "log.written_aside")
    assert snapshots.current_id(company.settings) == (earlier if is_back else now)
    assert list(company.kept()) == [bases.next_tables, bases.first_tables]
    company("published", "rollback", earlier)
    assert company.published() == bases.first_tables and company.leftovers() == []
    assert company.switches()[0] == earlier


@of("pin", "unpin")
def test_a_pin_is_set_or_taken_off_whole(
    bases: Bases, tmp_path: Path, chain: tuple[Visit, ...]
) -> None:
    [visit] = chain
    company = bases.done.copy(tmp_path / "company")
    earlier = snapshots.ids(company.settings)[1]
    pinning = ("published", "pin", earlier, "--because", "the audit of 2025", "--by", "ada")
    if visit.command == "unpin":
        company(*pinning)
        end(company, visit, "published", "unpin", earlier)
        assert retention.pins(company.settings) == {}
    else:
        end(company, visit, *pinning)
        found = retention.pins(company.settings)
        assert bool(found) == (visit.point in ("pin.kept", "log.written_aside"))
    company(*pinning)
    assert "the audit of 2025" in company("published", "list").output
    company("published", "unpin", earlier)
    assert company.published() == bases.next_tables
    assert retention.pins(company.settings) == {}


@of("backup")
def test_a_backup_that_is_ended_anywhere_is_none_or_a_whole_one(
    bases: Bases, tmp_path: Path, chain: tuple[Visit, ...]
) -> None:
    company = bases.done.copy(tmp_path / "company")
    place = Place(company.settings.backups_url)
    company("backup", "--keep", "2")
    for visit in chain:
        before = place.inventories()
        end(company, visit, "backup", "--keep", "2")
        made = set(place.inventories()) - set(before)
        assert bool(made) == (visit.point == "backup.inventoried"), visit
        problems = inventory.problems(
            place, [inventory.read(place, i) for i in place.inventories()]
        )
        assert not any(problems.values()), visit
    company("backup", "--keep", "2")
    assert len(place.inventories()) == 2
    assert not [each for each in Path(place.root).rglob("*") if ".tmp" in each.name]
    for path in Path(place.root).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path

    elsewhere = Company(tmp_path / "elsewhere", company.warm)
    told = elsewhere("restore", "--from", place.url).output
    assert "restored backup" in told and "sent again" in told
    assert elsewhere.published() == bases.next_tables
    assert elsewhere.built() == bases.done.built()
    assert elsewhere.gates() == company.gates()


@of("restore")
def test_a_restore_that_is_ended_anywhere_leaves_the_old_workshop_or_the_new(
    bases: Bases, tmp_path: Path, chain: tuple[Visit, ...]
) -> None:
    company = bases.done.copy(tmp_path / "company")
    restore = ("restore", "--replace", "--from", bases.place)
    landed = next((company.settings.data_dir / "landing" / "events").rglob("*.jsonl"))
    old, new = company.built(), bases.published.built()
    allowed, here = [old, new], company.settings
    earlier = snapshots.snapshot_path(here, snapshots.ids(here)[-1])
    for visit in chain:
        landed.unlink(missing_ok=True)
        earlier.unlink(missing_ok=True)
        end(company, visit, *restore)
        if visit.point == "restore.workshop_replaced":
            allowed = [new]
        assert company.built() in allowed, visit
        assert company.published() == bases.next_tables, visit
    assert "newer than the backup" in company(*restore).output
    assert company.built() == new and company.leftovers() == []
    company("run", *SELECTION)
    assert company.built() == old and company.published() == bases.next_tables


@pytest.mark.parametrize("accident", ["deleted", "truncated", "landing too"])
def test_drill_nothing_committed_is_lost_with_the_warehouse(
    bases: Bases, tmp_path: Path, accident: str
) -> None:
    """Run, publish, back up, one more day; the warehouse is destroyed, restored and run."""
    day = bases.done if accident == "truncated" else bases.next_day
    company = day.copy(tmp_path / "company")
    here = company.settings
    if accident == "truncated":
        os.truncate(here.workshop_path, here.workshop_path.stat().st_size // 2)
    else:
        shutil.rmtree(here.workshop_path.parent)
        shutil.rmtree(here.published_dir)
    if accident == "landing too":
        shutil.rmtree(here.data_dir / "landing")
    answer = company("restore", "--replace", "--from", bases.place, "--json").output
    found = first_json(answer)

    assert found["lost"] == {} and found["seconds"] > 0
    if accident == "landing too":
        assert found["files_put_back"] > 100 and found["newer"] == {}
        assert found["last_received"]["events.events"].startswith("events/events/2025-02-09/")
        assert company.published() == bases.first_tables
        return
    assert found["newer"]["events.events"] >= 1 and found["files_put_back"] == 0
    assert bool(found["judged_anew"]) == (accident == "truncated")
    if accident == "truncated":
        assert company.built() == bases.published.built()
        assert company.published() == bases.next_tables
        return
    company("run", *SELECTION)
    assert company.published() == bases.next_tables
    assert company.built() == bases.done.built()
    assert set(company.gates().values()) == {"open"}
    assert nothing_told(company, tmp_path, planted.HOOKS) == []


def first_json(output: str) -> Any:
    """A library may complain behind it when the process ends."""
    return json.JSONDecoder().raw_decode(output)[0]


def nothing_told(company: Company, folder: Path, secret: Mapping[str, str]) -> list[str]:
    """Let things go wrong around secrets; then where any of them stands in what was written."""
    data = company.settings.data_dir
    (data / "notifications.yml").write_text(planted.ROUTES)
    said = [
        company("incident", "notify", "--test", code=None, **secret),
        company("doctor", code=None, **secret),
        company("run", *LAST_STEP, code=None, **secret, SLUICE_DISK_FULL_AT="build.marked"),
    ]
    assert "chat" in said[0].output and said[2].code != 0, said
    if "SLUICE_POSTGRES" in secret:
        broken = {**secret, "SLUICE_POSTGRES": f"host=x password='{planted.WRONG}' x y"}
        said += [
            company("run", *LAST_STEP, code=None, **broken),
            company("status", code=None, **broken),
        ]
        assert "password authentication failed" in said[2].output, said[2]
        assert "cannot be read as a connection" in said[3].output, said[3]
    key = data / "secrets" / "mask.key"
    known = [planted.PASSWORD, planted.WRONG, planted.TOKEN, planted.TOKEN[::-1]]
    if key.exists():
        known.append(key.read_text().strip())
        key.unlink()
    return planted.found(known, [folder], str(said))


def test_drill_on_a_server(bases: Bases, tmp_path: Path, own_postgres: PostgresServer) -> None:
    """The same, and the twin that nothing disturbed is the one on DuckDB."""
    database = planted.with_password(new_database(own_postgres))
    company = bases.landed.copy(tmp_path / "company").on(database)
    company("run", *SELECTION)
    company("backup", "--to", str(tmp_path / "place"))
    assert company.built() == bases.published.built()
    company("simulate", "--next-day")
    with psycopg.connect(own_postgres.dsn, autocommit=True) as session:
        session.execute(f"drop database {database.database} with (force)".encode())
        assert "createdb" in company("restore", "--from", str(tmp_path / "place"), code=1).output
        session.execute(f"create database {database.database}".encode())
    answer = company("restore", "--from", str(tmp_path / "place"), "--json").output
    assert first_json(answer)["newer"]["events.events"] >= 1
    assert company.built() == bases.published.built()
    company("run", *SELECTION)
    assert company.built() == bases.done.built()
    wrong = database.url.replace(quote(planted.PASSWORD, safe=""), quote(planted.WRONG, safe=""))
    assert nothing_told(company, tmp_path, {**planted.HOOKS, "SLUICE_POSTGRES": wrong}) == []


def test_the_matrix_visits_every_point_both_ways_and_make_test_each_once() -> None:
    assert {each.point for each in every_visit() if each.kind == "kill"} == here()
    assert {each.point for each in every_visit() if each.kind == "full"} == here()
    assert {each.point for chain in chains() for each in chain} == here()


def test_the_page_of_the_matrix_is_made_from_the_register() -> None:
    if os.environ.get("UPDATE_REFERENCE"):
        REFERENCE.write_text(page(UPDATE))
    assert REFERENCE.exists() and REFERENCE.read_text() == page(UPDATE), (
        f"The crash points have changed. Make {REFERENCE.name} anew: {UPDATE}"
    )
