"""`sluice new source` on what the simulator did not make: written, linted, loaded, gated."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import openpyxl  # type: ignore[import-untyped]
import pytest
import yaml
from new_sources import PUBLIC, Copy, empty_house, guide, outsiders

from ingestion.proposal import propose
from ingestion.received import look_at_file
from warehouse.errors import SluiceError

TOKEN = "a-token-that-only-tests-use"
KEYS = {
    "people": "key kunden_id", "shop": "key order_id", "lab": "key id", 
    "meters": "key device", "helpdesk": "key ticket_id",
    "api": "key id", "erp": "key invoice_no", "team": "key desk_id",
}  # fmt: skip
ROWS = {
    "people__kunden": 60, "shop__orders": 50, "lab__wide": 30, 
    "meters__readings": 2, "helpdesk__tickets": 3, "api__tickets": 3,
    "erp__invoices": 2, "erp__payments": 1, "team__desks": 2, "team__rooms": 1,
}  # fmt: skip


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_known = self.headers["Authorization"] == f"Bearer {TOKEN}" and "key=s3cret" in self.path
        page = {"meta": {"count": 3}, "data": {"items": [{"id": n, "ok": n > 1} for n in range(3)]}}
        body = json.dumps(page).encode() if is_known else b"{}"
        self.send_response(200 if is_known else 403)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def api() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/tickets"
    server.shutdown()
    server.server_close()


def database(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table invoices (invoice_no text, total real, updated_at text)")
        connection.execute("insert into invoices values ('A1', 9.5, '2026-01-01T00:00:00Z')")
        connection.execute("insert into invoices values ('A2', 3, '2026-01-02T00:00:00Z')")
        connection.execute("create table payments (payment_id text, invoice_no text)")
        connection.execute("insert into payments values ('P1', 'A1')")
    return f"sqlite:///{path}"


def team(folder: Path) -> Path:
    """A folder as it is dropped: two entities, one of them with yesterday's file, too."""
    folder.mkdir()
    (folder / "desks_2026-01-01.csv").write_text("desk_id,floor\nd1,1\n")
    (folder / "desks_2026-01-02.csv").write_text("desk_id,floor\nd1,1\nd2,3\n")
    (folder / "rooms.jsonl").write_text('{"room_id": "r1", "seats": 4}\n')
    return folder


@dataclass(frozen=True)
class Adopted:
    """What the commands said, and what the run of it all said."""

    house: Copy
    said: Mapping[str, str]
    refused: tuple[int, str]
    run: str


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    folder = tmp_path_factory.mktemp("adopted")
    url = database(folder / "erp.db")
    secrets = {"API_TOKEN": TOKEN, "API_KEY": "s3cret", "ERP_URL": url}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    house, files = empty_house(folder / "house", {**kept, **secrets}), outsiders(folder / "sent")
    with api() as address:
        given = {name: ["--file", str(path), "--land"] for name, path in files.items()}
        given["api"] = ["--url", f"{address}?key=s3cret", "--token-variable", "API_TOKEN"]
        given["erp"] = ["--connection", url, "--table", "invoices", "--table", "payments"]
        given["team"] = ["--file", str(team(folder / "team")), "--land"]
        other = str(PUBLIC / "airports.csv")
        commands = [["new", "source", name, *words, "--yes"] for name, words in given.items()]
        done = house.many(
            [
                *commands,
                guide(folder),
                ["new", "source", "people", "--file", other, "--yes"],
                ["new", "source", "fresh", "--file", other, "--dry-run"],
            ]
        )
        said = dict(zip([*given, "helpdesk", "again", "fresh"], done, strict=True))
        assert all(code == 0 for name, (code, _) in said.items() if name != "again"), said
        selects = [
            word for name in [*given, "helpdesk"] for word in ("--select", f"source:{name}+")
        ]
        run = house.run("-m", "cli.main", "run", *selects)
    texts = {name: text for name, (_, text) in said.items()}
    return Adopted(house, texts, said["again"], f"{run.stdout}\n{run.stderr}")


def test_it_proposes_what_identifies_a_row_or_says_that_nothing_does(adopted: Adopted) -> None:
    for source, key in KEYS.items():
        assert key in adopted.said[source], source
    assert "contact is taken for personal: e-mail address" in adopted.said["helpdesk"]
    assert "umsatz is decimal(18,2) but for 'k.A.'" in adopted.said["people"]
    assert "'{{ x }}' is left out" in adopted.said["shop"]


def test_each_is_loaded_built_and_gated_at_once(adopted: Adopted) -> None:
    assert "✗" not in adopted.run, adopted.run
    path = adopted.house.folder / "data" / "warehouse" / "workshop.duckdb"
    with duckdb.connect(str(path), read_only=True) as workshop:
        counted = {
            name: workshop.execute(f"select count(*) from staging.stg_{name}").fetchall()[0][0]
            for name in ROWS
        }
        assert counted == ROWS
        orders = workshop.execute(
            "select order_value, select_value, a, column_5, a_b, say_hi, "
            "lines ->> '$[0].sku', placed_at::date::varchar "
            "from staging.stg_shop__orders where order_id = 1"
        ).fetchall()
        assert orders == [("first", 1, True, "東京", 1.5, "x", "a", "2026-02-02")]
        assert workshop.execute(
            "select plz, strasse from staging.stg_people__kunden where kunden_id = 'K0003'"
        ).fetchall() == [("00003", "Am Graben 3\nHinterhaus")]


def test_what_it_writes_passes_lint(adopted: Adopted) -> None:
    house = adopted.house
    house("-m", "quality")
    house("-m", "yamllint", "--strict", "dbt_project/models", "quality/checks")
    linting = {
        "SLUICE_WORKSHOP": "data/lint.duckdb",
        "DBT_TARGET_PATH": str(house.folder / "data" / "dbt"),
    }
    models = house.folder / "dbt_project" / "models" / "staging"
    Copy(house.folder, {**house.environment, **linting})(
        "-m", "sqlfluff", "lint", "--disable-progress-bar", str(models)
    )


def test_persons_are_marked_from_the_source_to_the_model(adopted: Adopted) -> None:
    wanted = {"vorname", "kontakt", "geburtsdatum", "strasse"}
    for path, top in (
        ("dbt_project/models/raw/people.yml", lambda d: d["sources"][0]["tables"][0]),
        ("dbt_project/models/staging/people/stg_people__kunden.yml", lambda d: d["models"][0]),
    ):
        columns = top(yaml.safe_load(adopted.house.text(path)))["columns"]
        marked = {
            each["name"]
            for each in columns
            if each.get("config", {}).get("meta", {}).get("classification") == "personal"
        }
        assert marked == wanted, path


def test_a_connector_holds_no_secret(adopted: Adopted) -> None:
    written = adopted.house.text("dbt_project/models/raw/api.yml")
    assert "s3cret" not in written and TOKEN not in written
    assert 'params: {key: "${env:API_KEY}"}' in written and "rows: data.items" in written
    assert "sqlite" not in adopted.house.text("dbt_project/models/raw/erp.yml")


def test_nothing_is_overwritten_and_a_dry_run_writes_nothing(adopted: Adopted) -> None:
    code, why = adopted.refused
    assert code == 1
    assert "dbt_project/models/raw/people.yml exists already; nothing was written" in why
    models = adopted.house.folder / "dbt_project" / "models"
    assert not (models / "staging" / "people" / "stg_people__airports.sql").exists()
    assert "+++ dbt_project/models/raw/fresh.yml" in adopted.said["fresh"]
    assert not (models / "raw" / "fresh.yml").exists()


@pytest.mark.parametrize(
    ("name", "key", "types"),
    [
        ("airports.csv", ("iata",), {"iata": "varchar", "latitude": "decimal(18,12)"}),
        ("la-riots.csv", (), {"age": "bigint", "death_date": "date"}),
        ("us-employment.csv", ("month",), {"month": "date", "utilities": "decimal(18,2)"}),
        ("seattle-weather.csv", ("date",), {"date": "date", "wind": "decimal(18,2)"}),
        ("sf-temps.csv", ("date",), {"date": "timestamptz"}),
        ("barley.json", ("variety", "site", "year"), {"yield": "decimal(18,6)"}),
        ("cars.json", (), {"miles_per_gallon": "decimal(18,2)", "year": "date"}),
        ("iris.json", (), {"species": "varchar"}),
    ],
)
def test_public_files_are_understood(
    name: str, key: tuple[str, ...], types: Mapping[str, str]
) -> None:
    proposal = propose(look_at_file(PUBLIC / name), "public", "rows", owner="data")
    assert proposal.key == key
    found = {column.name: column.data_type for column in proposal.columns}
    assert {name: found[name] for name in types} == types


def test_a_sheet_of_excel_is_understood(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [("Stück", "Größe (cm)"), *((f"s{n}", n / 4) for n in range(40))]:
        book.active.append(row)
    book.save(tmp_path / "stücke.xlsx")
    proposal = propose(look_at_file(tmp_path / "stücke.xlsx"), "store", "rows", owner="data")
    assert [(c.name, c.alias, c.data_type) for c in proposal.columns] == [
        ("stuck", "Stück", "varchar"), ("grosse_cm", "Größe (cm)", "decimal(18,2)"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.csv", b"", "no rows"),
        ("header.csv", b"a,b\n", "no rows"),
        ("twice.csv", b"a,a\n1,2\n", "a more than once"),
        ("broken.json", b'[{"a": 1}', "cannot be read"),
        ("strange.bin", b"?", "cannot be read"),
        ("numbers.jsonl", b"1\n2\n", "No JSON objects"),
        ("broken.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_a_reason(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SluiceError, match=why):
        look_at_file(tmp_path / name)
