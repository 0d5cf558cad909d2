"""`sluice published` and `--as-of`, as somebody types them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from postgres_fixtures import new_database

from cli.main import sluice
from warehouse import workshop
from warehouse.errors import SluiceError
from warehouse.publish import PublicTable, publish
from warehouse.settings import Settings


@pytest.fixture(params=["duckdb", "postgres"])
def made(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Two snapshots, of one order and of two."""
    monkeypatch.setenv("SLUICE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    if request.param == "postgres":
        server = new_database(request.getfixturevalue("postgres"))
        monkeypatch.setenv("SLUICE_TARGET", "postgres")
        monkeypatch.setenv("SLUICE_POSTGRES", server.dsn)
    here = Settings(data_dir=tmp_path / "data")
    found = []
    for count in (1, 2):
        connection = workshop.connect(here)
        connection.execute("create schema if not exists marts")
        connection.execute(
            "drop table if exists marts.orders; create table marts.orders as"
            f" select i as order_id from generate_series(1, {count}) r(i)"
        )
        connection.close()
        found.append(
            publish(here, [PublicTable("orders", "marts.orders", True)], "run").snapshot_id
        )
    return found


def run(*words: str) -> Result:
    return CliRunner().invoke(sluice, words)


def test_a_pin_is_set_listed_and_taken_off(made: list[str]) -> None:
    pinned = run("published", "pin", made[0], "--because", "the audit", "--by", "ada",
                 "--until", "2099-01-31")  # fmt: skip
    assert pinned.exit_code == 0, pinned.output
    assert f"✓ Snapshot {made[0]} is pinned by ada until 2099-01-31 00:00 UTC: the audit." in (
        pinned.output
    )
    listed = run("published", "list").output
    assert "pinned by ada until 2099-01-31 00:00 UTC: the audit" in listed
    reasons = {
        each["snapshot_id"]: each["kept_because"]
        for each in json.loads(run("published", "list", "--json").output)
    }
    assert reasons[made[1]] == "current"
    assert "is not pinned any more" in run("published", "unpin", made[0]).output
    refused = run("published", "unpin", made[0])
    assert isinstance(refused.exception, SluiceError)
    assert "is not pinned (pinned: none)" in str(refused.exception)


def test_a_query_as_of_a_snapshot_or_a_time_is_answered_from_what_was_seen_then(
    made: list[str],
) -> None:
    count = ("query", "select count(*) as orders from orders", "--json")
    first = datetime.strptime(made[0], "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC)
    assert json.loads(run(*count).output) == [{"orders": 2}]
    assert json.loads(run(*count, "--as-of", made[0]).output) == [{"orders": 1}]
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert json.loads(run(*count, "--as-of", later).output) == [{"orders": 2}]
    assert f"✓ Consumers see snapshot {made[0]}" in run("published", "rollback", made[0]).output
    assert json.loads(run(*count, "--as-of", later).output) == [{"orders": 1}]
    earlier = (first - timedelta(minutes=1)).isoformat()
    refused = run(*count, "--as-of", earlier)
    assert isinstance(refused.exception, SluiceError)
    assert "Nothing was published yet" in str(refused.exception)
    assert "sluice published list" in str(refused.exception)


def test_snapshots_are_listed_shown_and_compared(made: list[str]) -> None:
    listed = json.loads(run("published", "list", "--json").output)
    assert [(each["snapshot_id"], each["is_current"]) for each in listed] == [
        (made[1], True),
        (made[0], False),
    ]
    assert all(each["size_bytes"] > 0 for each in listed)
    shown = run("published", "show", made[0]).output
    assert f"Snapshot {made[0]}, published " in shown and "orders" in shown
    [orders] = json.loads(run("published", "diff", made[0], "--json").output)
    assert (orders["rows_before"], orders["rows_after"], orders["same_content"]) == (1, 2, False)
    assert "changed" in run("published", "diff", *made).output
    for words in (("rollback", "nope"), ("diff", "a", "b"), ("show", "20200101-000000-000001")):
        refused = run("published", *words).exception
        assert isinstance(refused, SluiceError) and refused.exit_code == 2
        assert ("no snapshot's id" in refused.what) == (words[0] != "show"), refused.what
