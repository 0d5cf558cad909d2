"""However a history arrives, and in whichever warehouse, it ends with the same rows."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
import warehouse_rows
from postgres_fixtures import new_database
from postgres_server import PostgresServer
from pydantic import SecretStr

from catalog.catalog import load_catalog
from ingestion.load import load_all
from ingestion.replay import replay_source
from ingestion.simulator import simulate
from quality.checks import problems
from warehouse import dbt, structure
from warehouse.settings import Settings
from warehouse.workshop import connect

DAYS = 45
FIRST = date(2025, 1, 1)
# The platform's own log says of each way how it went, and so differs.
MODELS_ONLY = (
    *("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"),
    *("--exclude", "source:platform+"),
)
PRODUCT = ("--select", "+path:models/marts/product")
# Two days far from each other, of which some events come alone and last.
LATE_DAYS = (FIRST + timedelta(days=24), FIRST + timedelta(days=44))
LATE = 71
LAYERS = ("staging", "curated", "marts")

# A step is what arrives between two builds.
Steps = Sequence[Sequence[Path]]
Tables = dict[str, warehouse_rows.Rows]
# When it is received, whether late, and its line.
Event = tuple[date, bool, str]


class History:
    """Received files, and one warehouse after another built of them."""

    def __init__(self, folder: Path, postgres: str = "", prefix: str = "") -> None:
        self.received = folder / "received" / "landing"
        self.settings = Settings(
            target="postgres" if postgres else "duckdb",
            postgres=SecretStr(postgres),
            schema_prefix=prefix,
            # With another key the same people would have other hashes.
            mask_key=SecretStr("a-key-that-only-tests-use"),
            data_dir=folder / ("postgres" if postgres else "data"),
            as_of=datetime.combine(FIRST + timedelta(days=DAYS), datetime.min.time(), UTC),
        )

    def files(self) -> list[Path]:
        return sorted(path for path in self.received.rglob("*.*") if path.parent != self.received)

    def tables_after(self, steps: Steps) -> Tables:
        """Land and build step by step in an empty warehouse, the last time every model."""
        landing = Path(self.settings.landing_url)
        shutil.rmtree(landing, ignore_errors=True)
        self._empty()
        for step in steps:
            for file in step:
                place = landing / file.relative_to(self.received)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)
            with closing(connect(self.settings)) as connection:
                results = load_all(self.settings, connection)
            assert [result.refused for result in results if result.refused] == []
            selection = () if step is steps[-1] else PRODUCT
            outcome = dbt.run(self.settings, ["build", *MODELS_ONLY, *selection])
            assert outcome.success, [node for node in outcome.nodes if node.status == "error"]
        return self.tables()

    def _empty(self) -> None:
        """Not by deleting the file: dbt keeps it open as long as this process lives."""
        with closing(connect(self.settings)) as connection:
            for schema in {schema for schema, _ in structure.columns(connection)}:
                if not schema.startswith(self.settings.schema_prefix):
                    continue
                connection.execute(f'drop schema if exists "{schema}" cascade')
        assert self.tables() == {}

    def tables(self) -> Tables:
        with closing(connect(self.settings)) as connection:
            prefix = self.settings.schema_prefix
            found = warehouse_rows.tables(connection, [prefix + each for each in LAYERS])
        return {name.removeprefix(prefix): rows for name, rows in found.items()}


def _received_on(file: Path) -> date:
    return date.fromisoformat(file.parent.name)


def _event(key: str, name: str, account: str, user: str, at: datetime) -> Event:
    late = at.date() in LATE_DAYS and sum(map(ord, key)) % 2 == 0
    received = at + timedelta(days=8) if late else at
    sent = received.isoformat().replace("+00:00", "Z")
    event = {
        "event_id": key,
        "event_name": name,
        "account_id": account,
        "user_id": user,
        "occurred_at": at.isoformat().replace("+00:00", "Z"),
        "sent_at": sent,
        "received_at": sent,
        "context": {"platform": "web", "app_version": "1.0.0", "locale": "en-US"},
        "properties": {"feature": None, "duration_ms": 10, "items": 0},
    }
    return received.date(), late, json.dumps(event)


def _nights(chance: random.Random) -> Iterator[Event]:
    """People who work through midnight, before, in and after a day of which half comes late.
    A late event of theirs joins two sessions, takes over one that began after midnight, or both."""
    for user in range(80):
        days = chance.choice([-3, -2, -1, -1, 0, 0, 1])
        at = datetime.combine(LATE_DAYS[0], time(21), UTC) + timedelta(days=days)
        for number in range(chance.randrange(6, 20)):
            at += timedelta(seconds=chance.choice([300, 1799, 1800, 1801, 2700]))
            yield _event(
                f"night-{user}-{number}", "page_viewed", "acc_00000001", f"night-{user}", at
            )


def _slow_starts(landing: Path, chance: random.Random) -> Iterator[Event]:
    """Accounts that take the steps of the funnel slowly, up to the last minute of 28 days."""
    changes = [
        json.loads(line)
        for file in sorted((landing / "app" / "accounts").rglob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    accounts = {c["account_id"]: c["created_at"] for c in changes if c["op"] == "insert"}
    steps = ["teammate_invited", "integration_connected", "report_created", "report_shared"]
    for account, created in sorted(accounts.items()):
        minutes = sorted(chance.randrange(28 * 24 * 60 + 1) for _ in steps)
        for step, minute in zip(steps, minutes, strict=True):
            at = datetime.fromisoformat(created) + timedelta(minutes=minute)
            if at.date() < FIRST + timedelta(days=DAYS):
                yield _event(f"slow-{account}-{step}", step, account, f"slow-{account}", at)


def _land(events: Iterable[Event], landing: Path) -> None:
    """Beside the simulated files: what comes at once, and what comes late, in files of its own."""
    files: dict[Path, list[str]] = {}
    for on, late, line in events:
        folder = landing / "events" / "events" / on.isoformat()
        files.setdefault(folder / f"{on:%Y%m%d}-{LATE if late else 70}.jsonl", []).append(line)
    for file, lines in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")


def _repeated(file: Path) -> Path:
    """The same rows once more, in another order and another file."""
    lines = file.read_bytes().splitlines(keepends=True)
    header, rows = (lines[:1], lines[1:]) if file.suffix == ".csv" else ([], lines)
    again = file.with_name(f"{file.stem}{file.stem[-2:]}{file.suffix}")
    again.write_bytes(b"".join([*header, *reversed(rows), b"\n"]))
    return again


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    history = History(tmp_path_factory.mktemp("any_order"))
    player = Settings(data_dir=history.received.parent)
    simulate.run(player, size="medium", days=DAYS)
    chance = random.Random(20250120)
    _land([*_nights(chance), *_slow_starts(history.received, chance)], history.received)
    return history


@pytest.fixture(scope="module")
def at_once(history: History) -> Tables:
    tables = history.tables_after([history.files()])
    assert tables["curated.fct_sessions"][0] > 5000
    assert all(count for name, (count, _) in tables.items() if name.startswith("marts.product"))
    return tables


@pytest.fixture(scope="module")
def on_a_server(history: History, postgres: PostgresServer) -> History:
    return History(history.received.parent.parent, new_database(postgres).url)


def _late_at_last(history: History) -> Steps:
    """First what comes in time, in spans of twelve days; then what is late, and touches two days
    of the past, whose neighbours must be rebuilt with them."""
    in_time = [f for f in history.files() if not f.stem.endswith(f"-{LATE}")]
    late = [f for f in history.files() if f.stem.endswith(f"-{LATE}")]
    steps = [
        [f for f in in_time if (_received_on(f) - FIRST).days // 12 == span]
        for span in range(DAYS // 12 + 1)
    ]
    steps = [step for step in [*steps, late] if step]
    assert sum(map(len, steps)) == len(history.files())
    return steps


def test_day_by_day_gives_the_rows_of_one_go(history: History, at_once: Tables) -> None:
    assert history.tables_after(_late_at_last(history)) == at_once


def test_files_in_any_order_and_repeated_give_the_rows_of_one_go(
    history: History, at_once: Tables
) -> None:
    files = history.files()
    random.Random(7).shuffle(files)
    again = [_repeated(file) for file in files if file.stat().st_size]
    try:
        steps = [files[number::4] for number in range(4)]
        assert history.tables_after([*steps, again]) == at_once
    finally:
        for file in again:
            file.unlink()


def test_a_server_has_the_same_rows(on_a_server: History, at_once: Tables) -> None:
    assert on_a_server.tables_after([on_a_server.files()]) == at_once


def test_a_server_has_the_same_rows_day_by_day_out_of_order_and_repeated(
    on_a_server: History, at_once: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an environment of its own, beside the one that has them already."""
    beside = on_a_server
    monkeypatch.setenv("SLUICE_SCHEMA_PREFIX", "ci_42_")
    url = beside.settings.postgres.get_secret_value()
    on_a_server = History(beside.received.parent.parent, url, prefix="ci_42_")
    steps = [list(step) for step in _late_at_last(on_a_server)]
    for step in steps:
        random.Random(7).shuffle(step)
    again = [_repeated(file) for file in on_a_server.files()[::3] if file.stat().st_size]
    try:
        assert on_a_server.tables_after([*steps, again]) == at_once
        with closing(connect(on_a_server.settings)) as connection:
            replay_source(on_a_server.settings, connection, "events")
        outcome = dbt.run(on_a_server.settings, ["build", *MODELS_ONLY])
        assert outcome.success
        assert on_a_server.tables() == at_once
        assert beside.tables() == at_once
        # Whatever a check asks, it asks of its own environment.
        assert problems(load_catalog(on_a_server.settings)) == []
    finally:
        for file in again:
            file.unlink()
