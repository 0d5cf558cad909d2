"""File drops: taken once, whole, as they were, from wherever fsspec reaches."""

from __future__ import annotations

import gzip
import io
import os
import re
import signal
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from quay import Quay, table
from remote_drops import s3_drop, sftp_drop

from ingestion.connectors.standing import standings
from warehouse.errors import ContractError, SettingsError, SluiceError

COLUMNS = {
    "ticket_id": "varchar",
    "subject": "varchar",
    "opened_on": "date",
    "cost": "decimal(18,2)",
}
CSV = 'ticket_id,subject,opened_on,cost\nt1,Grüße,2026-03-01,1.50\nt2,"a, b",2026-03-02,20\n'
ROWS = [("t1", "Grüße", "2026-03-01", "1.50"), ("t2", "a, b", "2026-03-02", "20.00")]
SELECT = """select ticket_id, subject, opened_on::varchar, cost::varchar
            from raw_shop.tickets order by ticket_id, _batch_id"""


def declared(
    quay: Quay, folder: Path | str, format: str = "csv", pattern: str = "*", **more: Any
) -> None:
    connector = (
        {"pattern": pattern}
        | {
            key: more.pop(key)
            for key in list(more)
            if key in ("encoding", "sheet", "skip_rows", "delimiter")
        }
        | ({"format": more.pop("received")} if "received" in more else {})
    )
    quay.declare(
        {"kind": "files", "url": str(folder), "settle_seconds": 0, **more},
        table("tickets", COLUMNS, format=format, connector=connector, required=("ticket_id",)),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "drop"
    place.mkdir()
    return place


def excel() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Tickets"
    for row in (["Ticket ID", "Subject", "Opened on", "COST"], ["t1", "Grüße", "2026-03-01", 1.5]):
        sheet.append(row)
    sheet.append(["t2", "a, b", datetime(2026, 3, 2), 20])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def parquet() -> bytes:
    out = io.BytesIO()
    names = list(COLUMNS)
    pq.write_table(pa.table({n: [row[k] for row in ROWS] for k, n in enumerate(names)}), out)
    return out.getvalue()


JSON = (
    '[ {"ticket_id": "t1", "subject": "Gr\\u00fc\\u00dfe",\n '
    '"opened_on": "2026-03-01", "cost": 1.50},\n'
    '{"ticket_id": "t2", "subject": "a, b", "opened_on": "2026-03-02", "cost": 20}]\n'
)
LINES = (
    '{"ticket_id": "t1", "subject": "Grüße", "opened_on": "2026-03-01", "cost": 1.50}\n'
    '{"ticket_id": "t2", "subject": "a, b", "opened_on": "2026-03-02", "cost": 20}\n'
)
# File name, its bytes, the contract's format, is it landed untouched, what the YAML says besides.
KINDS: list[tuple[str, bytes, str, bool, dict[str, Any]]] = [
    ("plain.csv", CSV.encode(), "csv", True, {}),
    ("mark.csv", b"\xef\xbb\xbf" + CSV.encode(), "csv", True, {}),
    ("packed.csv.gz", gzip.compress(CSV.encode()), "csv", True, {}),
    ("packed.csv.zst", zstandard.compress(CSV.encode()), "csv", False, {}),
    ("latin.csv", CSV.encode("latin-1"), "csv", False, {"encoding": "latin-1"}),
    ("wide.csv", CSV.encode("utf-16"), "csv", False, {}),
    ("spelt.csv", CSV.replace("ticket_id,", "Ticket ID ,").encode(), "csv", False, {}),
    ("export.tsv", CSV.replace('"a, b"', "a; b").replace(",", "\t").replace("; b", ", b").encode(),
     "csv", False, {}),
    ("semi.csv", CSV.replace('"a, b"', "a- b").replace(",", ";").replace("- b", ", b").encode(),
     "csv", False, {"delimiter": ";"}),
    ("report.csv", ("Tickets\n\n" + CSV).encode(), "csv", False, {"skip_rows": 2}),
    ("rows.csv", CSV.encode(), "jsonl", False, {}),
    ("list.json", JSON.encode(), "jsonl", False, {}),
    ("list.json.gz", gzip.compress(JSON.encode()), "jsonl", False, {}),
    ("lines.jsonl", LINES.encode(), "jsonl", True, {}),
    ("lines.ndjson", LINES.encode(), "jsonl", True, {}),
    ("book.xlsx", excel(), "csv", False, {"sheet": "Tickets"}),
    ("book.xlsx", excel(), "jsonl", False, {}),
    ("data.parquet", parquet(), "parquet", True, {}),
    ("no_ending", LINES.encode(), "jsonl", True, {"received": "jsonl"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "format", "untouched", "more"), KINDS, ids=[f"{k[0]}-{k[2]}" for k in KINDS]
)
def test_every_kind_of_file_becomes_the_same_rows_and_keeps_its_bytes(
    quay: Quay, folder: Path, name: str, content: bytes, format: str, untouched: bool, more: Any
) -> None:
    declared(quay, folder, format, **more)
    (folder / name).write_bytes(content)
    fetched = quay.fetch()
    assert not fetched.problems and fetched.files == 1
    assert quay.load().rows == 2 and quay.rows(SELECT) == ROWS
    kept = quay.landed() if untouched else [p for p in quay.everything() if "/.original/" in p]
    assert [quay.content(path) for path in kept] == [content]
    # Again, and with a new time but the same bytes: nothing more.
    os.utime(folder / name, (1, 1))
    assert quay.fetch().files == 0 and quay.load().files == 0


def test_an_element_of_an_array_lands_as_its_own_text(quay: Quay, folder: Path) -> None:
    declared(quay, folder, "jsonl")
    element = '{"ticket_id": "t1", "cost": 12345678901234567890.10, "n": [1, {"x\\n": 1e400}]}'
    (folder / "a.json").write_text(f"[{element}\n ,\n{element.replace(', ', chr(10) + ',')}]")
    quay.fetch()
    first, second = quay.content(quay.landed()[0]).decode().splitlines()
    assert first == element and second == element.replace(", ", " ,")


BROKEN = [
    ("torn.json", JSON.encode()[:-20], "jsonl", "middle|valid"),
    ("object.json", b'{"ticket_id": "t1"}', "jsonl", "no JSON array"),
    ("more.json", JSON.encode() + b"[]", "jsonl", "follows the array"),
    ("book.xlsx", excel()[:900], "csv", "no readable Excel"),
    (
        "torn.csv.zst",
        zstandard.compress(CSV.encode() * 99)[:-30],
        "csv",
        "cut off",
    ),
    ("data.parquet", parquet(), "csv", "does not become csv"),
    ("what.bin", b"\x00\x01", "csv", "ending does not say"),
    ("utf.csv", CSV.encode("latin-1"), "csv", ""),
]


@pytest.mark.parametrize(("name", "content", "format", "why"), BROKEN, ids=[b[0] for b in BROKEN])
def test_what_cannot_be_understood_lands_all_the_same_and_shuts_the_source(
    quay: Quay, folder: Path, name: str, content: bytes, format: str, why: str
) -> None:
    declared(quay, folder, format)
    (folder / name).write_bytes(content)
    fetched = quay.fetch()
    if why:
        [problem] = fetched.problems
        assert re.search(why, problem) and name in problem, problem
        assert quay.log("problem")[0]["reason"] == problem
    [path] = quay.landed()
    assert quay.content(path) == content
    loaded = quay.load()
    assert loaded.refused and not loaded.rows
    assert "set-aside" in loaded.refused[0].remedy


def test_a_file_is_taken_only_when_it_no_longer_grows(quay: Quay, folder: Path) -> None:
    declared(quay, folder, settle_seconds=0.3)
    (folder / "done.csv").write_text(CSV)
    stop = threading.Event()

    def grow() -> None:
        with (folder / "growing.csv").open("a", buffering=1) as stream:
            stream.write("ticket_id,subject,opened_on,cost\n")
            while not stop.wait(0.001):
                stream.write("x,y,2026-03-01,1\n")

    writer = threading.Thread(target=grow)
    writer.start()
    while not (folder / "growing.csv").exists():
        pass
    try:
        fetched = quay.fetch()
    finally:
        stop.set()
        writer.join()
    assert fetched.files == 1 and "not complete yet" in fetched.notes[0]
    (folder / ".hidden.csv").write_text(CSV)
    assert quay.fetch().files == 1
    assert sorted(quay.cursor("tickets")["taken"]) == ["done.csv", "growing.csv"]


def test_with_a_marker_only_what_is_marked_is_taken(quay: Quay, folder: Path) -> None:
    declared(quay, folder, pattern="*.csv", marker="{name}.done")
    (folder / "a.csv").write_text(CSV)
    (folder / "b.csv").write_text(CSV)
    (folder / "b.csv.done").touch()
    assert quay.fetch().files == 1 and list(quay.cursor("tickets")["taken"]) == ["b.csv"]
    (folder / "a.csv.done").touch()
    fetched = quay.fetch()
    assert fetched.files == 1 and not fetched.notes


@pytest.mark.parametrize("policy", ["take", "refuse"])
def test_the_same_name_with_other_content_is_noticed(quay: Quay, folder: Path, policy: str) -> None:
    declared(quay, folder, redelivered=policy)
    (folder / "a.csv").write_text(CSV)
    quay.fetch()
    (folder / "a.csv").write_text(CSV + "t3,c,2026-03-03,3\n")
    fetched = quay.fetch()
    quay.load()
    if policy == "take":
        assert "delivered again with other content" in fetched.notes[0]
        assert len(quay.landed()) == 2 and len(quay.rows(SELECT)) == 5
        assert quay.fetch().files == 0
    else:
        assert "redelivered: refuse" in fetched.problems[0]
        assert len(quay.landed()) == 1 and quay.rows(SELECT) == ROWS


def test_patterns_choose_the_entity_and_strangers_are_named(quay: Quay, folder: Path) -> None:
    quay.declare(
        {"kind": "files", "url": str(folder), "settle_seconds": 0},
        table("tickets", COLUMNS, format="csv", connector={"pattern": "**/tickets_*.csv"}),
        table("agents", {"name": "varchar"}, format="csv", connector={"pattern": "eu/agents.csv"}),
    )
    (folder / "eu").mkdir()
    (folder / "eu" / "tickets_1.csv").write_text(CSV)
    (folder / "tickets_2.csv").write_text(CSV)
    (folder / "eu" / "agents.csv").write_text("name\nAnna\n")
    (folder / "readme.txt").write_text("hello")
    fetched = quay.fetch()
    assert {name: each.files for name, each in fetched.entities.items()} == {
        "tickets": 2,
        "agents": 1,
    }
    assert fetched.notes == ["of no pattern: 1 file, readme.txt"]
    assert quay.load().rows == 5


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_kill_at_any_step_loses_and_repeats_nothing(quay: Quay, folder: Path, steps: int) -> None:
    """A child fetches and is killed at its n-th rename, sync or removal; the next fetch goes on."""
    declared(quay, folder, "jsonl")
    for number in (1, 2):
        (folder / f"{number}.json").write_text(JSON)
    child = os.fork()
    if child == 0:
        _die_at(steps)
        quay.fetch()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    seen = quay.landed()
    assert len(seen) in (0, 1, 2) and (status == 0 or os.WIFSIGNALED(status))
    quay.fetch()
    assert len(quay.landed()) == 2 and not [p for p in quay.everything() if ".aside/" in p]
    quay.load()
    assert quay.rows("select count(*) from raw_shop.tickets") == [(4,)]
    assert quay.fetch().files == 0


def _die_at(steps: int) -> None:
    left = [steps]

    def counted(real: Any) -> Any:
        def step(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return step

    os.fsync = counted(os.fsync)
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]


@pytest.fixture(scope="module", params=["s3", "sftp"])
def remote(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    make = {"s3": s3_drop, "sftp": sftp_drop}[request.param]
    with make(tmp_path_factory.mktemp("remote")) as drop:
        yield drop


def test_remote_drops_work_like_a_folder(
    quay: Quay, remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROP_SECRET", remote.secret)
    declared(quay, remote.url, pattern="*.csv", **remote.declared)
    remote.put("a.csv", CSV.encode())
    fetched = quay.fetch()
    assert fetched.files == 1 and quay.load().rows == 2 and quay.rows(SELECT) == ROWS
    assert quay.fetch().files == 0
    remote.put("a.csv", CSV.replace("t2", "t9").encode())
    assert "delivered again" in quay.fetch().notes[0]
    if not remote.passwords_seen:
        return  # The S3 server of the tests lets everybody in.
    monkeypatch.setenv("DROP_SECRET", "wrong-secret-of-ours")
    with pytest.raises(SluiceError) as caught:
        quay.fetch()
    assert "wrong-secret-of-ours" not in str(caught.value)


def test_an_sftp_server_with_another_key_is_not_given_the_password(
    quay: Quay, tmp_path: Path
) -> None:
    with sftp_drop(tmp_path) as one:
        declared(quay, one.url, **{**one.declared, "host_key": one.another_key, "options": {
            "password": one.secret, "username": "sluice"}})  # fmt: skip
        with pytest.raises(SluiceError, match="not let in"):
            quay.fetch()
        assert not one.passwords_seen


FAULTS = [
    ({"settle_second": 1}, {}, "did you mean `settle_seconds`"),
    ({"redelivered": "ask"}, {}, "redelivered"),
    ({}, {"patern": "*"}, "did you mean `pattern`"),
    ({}, {"format": "xml"}, "format"),
    ({}, {"format": "parquet"}, "cannot become"),
    ({}, {"encoding": "klingon"}, "unknown"),
    ({"kind": "file"}, {}, "did you mean `files`"),
]


@pytest.mark.parametrize(("source", "entity", "says"), FAULTS)
def test_a_wrong_declaration_is_answered_with_file_and_nearest_word(
    quay: Quay, folder: Path, source: Any, entity: Any, says: str
) -> None:
    quay.declare(
        {"kind": "files", "url": str(folder), **source},
        table("tickets", COLUMNS, format="csv", connector={"pattern": "*", **entity}),
    )
    with pytest.raises(ContractError, match=says) as caught:
        quay.fetch()
    [standing] = standings(quay.dock.settings)
    assert standing.source == "shop" or standing.problem == caught.value.what
    assert "contracts.yml" in str(caught.value) and caught.value.remedy


def test_a_connector_sleeps_while_what_it_refers_to_is_not_set(
    quay: Quay, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared(quay, "${env:SHOP_DROP}")
    monkeypatch.delenv("SHOP_DROP", raising=False)
    with pytest.raises(SettingsError, match="SHOP_DROP is not set"):
        quay.fetch()
    monkeypatch.setenv("SHOP_DROP", str(folder / "nowhere"))
    with pytest.raises(SluiceError, match="not there"):
        quay.fetch()
    assert quay.log("failed")
