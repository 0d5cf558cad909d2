"""PostgreSQL gets the rows that DuckDB gets, whatever is sent and in how many goes."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from both_targets import BOTH, postgres_house
from dock import CONTRACTS, Dock, looked_at, order
from postgres_fixtures import new_database
from postgres_server import PostgresServer
from pydantic import SecretStr

from ingestion.load import load_source
from ingestion.plain_json import MAX_DEPTH
from ingestion.raw import existing_columns
from ingestion.simulator import simulate
from warehouse.settings import Settings
from warehouse.workshop import connect

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
SOURCES = ("app", "billing", "crm", "events")


def line(order_id: str, member: str) -> str:
    """A line of JSON as no library would write it."""
    return f'{{"order_id": "{order_id}", "amount": 1, "placed_at": "2025-03-01", {member}}}'


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


# Each with the number of the fault that it is quarantined for, or None if it is loaded.
ODD = {
    "nan": (line("nan", '"lines": [NaN]'), "lines is not a json"),
    "inf": (line("inf", '"lines": {"a": -inf}'), "lines is not a json"),
    "word": (line("word", '"lines": {"nan": "Infinity, ]"}'), None),
    "nul": (line("nul", r'"lines": "a\u0000"'), "it holds the character U+0000"),
    "nul_key": (line(r"k", r'"x\u0000": 1'), "it holds the character U+0000"),
    "backslash": (line("backslash", r'"lines": "\\u0000"'), None),
    "surrogate": (line("surrogate", r'"lines": "\ud800"'), "the line is not valid JSON"),
    "emoji": (line("emoji", r'"lines": "\ud83d\ude00"'), None),
    "comma": (line("comma", '"lines": [1, 2,]'), None),
    "huge": (line("huge", '"lines": [1e999, -0, 1.50]'), None),
    "deep": (line("deep", f'"lines": {nested(MAX_DEPTH)}'), None),
    "deeper": (line("deeper", f'"lines": {nested(MAX_DEPTH + 1)}'), "lines is not a json"),
    "deepest": (line("deepest", f'"lines": {nested(40_000)}'), "lines is not a json"),
    "wide": (line("wide", f'"lines": [{",".join(["[]"] * 3000)}]'), None),
    "extra": (line("extra", '"more": {"a": [1]}'), None),
    "odd_extra": (line("odd_extra", '"more": [NaN]'), "a column that the contract does not have"),
    "deep_extra": (line("e", f'"more": {nested(9000)}'), "a column that the contract does not"),
    "late": (line("late", '"shipped_on": "9999-12-31"'), None),
    "later": (line("later", '"shipped_on": "10000-1-1"'), "shipped_on is not a date"),
    "never": (line("never", '"shipped_on": "infinity"'), "shipped_on is not a date"),
    "before": (line("before", '"shipped_on": "0000-01-01"'), "shipped_on is not a date"),
}
TEXTS = (
    "", "NULL", r"\N", r"\.", "a\nb", "a\rb", "a\r\nb", '"', '""', 'a,"b"', ",", " x ", "\t", "\\",
    "x\n\\.\ny", "\x01\x7f", "é😀", "\u2028", "\ufeff", "'; drop table raw_shop.orders", "%s $1",
)  # fmt: skip
TIMES = ("9999-12-31T23:59:59.9999999Z", "0001-01-01T00:00:00Z", "2025-01-01 10:00 Europe/Berlin")
NO_TIMES = ("infinity", "10000-01-01", "0044-03-15 (BC)", "0000-12-31", "290000-01-01 (BC)")
AMOUNTS = ("9999999999999999.99", "-0.01", "1e3", "0")
NO_AMOUNTS = ("10000000000000000", "0.001", "NaN", "1e999")


def land_everything_odd(dock: Dock) -> None:
    dock.land_orders("odd", *(text for text, _ in ODD.values()))
    dock.land_orders("texts", *(order(text) for text in TEXTS))
    dock.land_orders(
        "times", *(order(f"t{n}", placed_at=t) for n, t in enumerate(TIMES + NO_TIMES))
    )
    dock.land_orders(
        "amounts", *(order(f"a{n}", amount=a) for n, a in enumerate(AMOUNTS + NO_AMOUNTS))
    )
    quoted = (text.replace('"', '""') for text in TEXTS)
    rows = "".join(f'"{text}","{text}",1\n' for text in quoted)
    dock.land(
        "shop/visitors/2025-03-01/a.csv", f"visitor_id,company,visits\nv1,,1\n{rows}".encode()
    )
    place = Path(dock.settings.landing_url) / "shop/stock/2025-03-01/a.parquet"
    place.parent.mkdir(parents=True)
    stock = {
        "item_id": ["a", "b\0", "c", None],
        "price": [1.25, 2.5, float("inf"), 1.0],
        "counted_at": pa.array([0, 1, 2, 3], pa.timestamp("us", "UTC")),
        "notes": [{"n": 1.0}, {"n": 2.0}, {"n": 3.0}, {"n": float("nan")}],
    }
    pq.write_table(pa.table(stock), place)


def content(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of raw, ledger and quarantine; the log of the loads themselves differs."""
    connection = looked_at(settings)
    rows = {}
    for schema, table in existing_columns(connection):
        if schema == "raw_ledger":
            key = {"batches": "batch_id", "quarantine": "batch_id, row_number"}.get(table)
        else:
            key = "_batch_id, _row_number"
        if key and schema != "raw_platform":
            relation = f"{schema}.{table}"
            rows[relation] = connection.execute(
                f"select * from {relation} order by {key}"
            ).fetchall()
    connection.close()
    return rows


def assert_same(one: Settings, other: Settings) -> None:
    expected, found = content(one), content(other)
    assert expected.keys() == found.keys()
    for table, rows in expected.items():
        assert found[table] == rows, table


@pytest.fixture
def two_docks(dock: Dock, tmp_path: Path, dock_database: PostgresServer) -> tuple[Dock, Dock]:
    """One landing zone, taken in by either engine."""
    landing = dock.settings.landing_url
    other = Dock(postgres_house(tmp_path / "server", dock_database, landing))
    other.lose_the_workshop()
    other.contract(CONTRACTS)
    return dock, other


def test_whatever_is_sent_becomes_the_same_rows_on_either_engine(
    two_docks: tuple[Dock, Dock],
) -> None:
    on_duckdb, on_postgres = two_docks
    land_everything_odd(on_duckdb)
    for each in two_docks:
        with closing(connect(each.settings)) as connection:
            assert load_source(each.settings, connection, "shop", now=NOW).refused == ()
    assert_same(on_duckdb.settings, on_postgres.settings)
    reasons = dict(
        on_postgres.query(
            "select row_number, reason from raw_ledger.quarantine where file like '%odd.jsonl'"
        )
    )
    for number, (name, (_, fault)) in enumerate(ODD.items(), start=1):
        assert (number in reasons) == (fault is not None), name
        assert (fault or "") in reasons.get(number, ""), name
    loaded = on_postgres.column(
        """select order_id from raw_shop.orders where _source_file like '%texts%'
           order by _row_number"""
    )
    assert loaded == list(TEXTS)
    for kind, good in (("times", TIMES), ("amounts", AMOUNTS)):
        numbers = on_postgres.column(
            f"select _row_number from raw_shop.orders where _source_file like '%/{kind}.jsonl'"
        )
        assert numbers == [n + 1 for n in range(len(good))]
    assert on_postgres.column("select item_id from raw_shop.stock") == ["a"]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Twenty days of the sample company, loaded into DuckDB in one go."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("company"), landing="")
    simulate.run(settings, days=20)
    load_company(settings)
    return settings


def load_company(settings: Settings) -> None:
    connection = connect(settings)
    for source in SOURCES:
        assert load_source(settings, connection, source, now=NOW).refused == ()
    connection.close()


def on_server(folder: Path, postgres: PostgresServer, landing: Path | str) -> Settings:
    return Settings(
        data_dir=folder, landing=str(landing), target="postgres",
        postgres=SecretStr(new_database(postgres).url),
    )  # fmt: skip


def test_a_company_becomes_the_same_rows_in_one_go_and_day_by_day(
    company: Settings, tmp_path: Path, postgres: PostgresServer
) -> None:
    at_once = on_server(tmp_path / "at_once", postgres, company.landing_url)
    load_company(at_once)
    assert_same(company, at_once)

    grown = on_server(tmp_path / "grown", postgres, tmp_path / "landing")
    files = [p for source in SOURCES for p in Path(company.landing_url, source).glob("*/*/*")]
    days = sorted({path.parent.name for path in files})
    for part in (days[:9], days[9:10], days[10:]):
        for path in (path for path in files if path.parent.name in part):
            place = tmp_path / "landing" / path.relative_to(company.landing_url)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
        load_company(grown)
    assert unnumbered(grown) == unnumbered(at_once)


def unnumbered(settings: Settings) -> dict[str, list[str]]:
    """All rows, whatever the numbers of their batches."""
    return {
        table: sorted(str([v for n, v in enumerate(row) if n != numbered]) for row in rows)
        for table, rows in content(settings).items()
        for numbered in [0 if table.startswith("raw_ledger") else len(rows[0]) - 4 if rows else 0]
    }


@BOTH
def test_texts_compare_byte_by_byte_whatever_the_servers_language(dock: Dock) -> None:
    dock.land_orders("a", *(order(name) for name in ("b", "B", "a", "Ä", "_", "A")))
    dock.load()
    names = dock.column("select order_id from raw_shop.orders order by order_id")
    assert names == ["A", "B", "_", "a", "b", "Ä"]
