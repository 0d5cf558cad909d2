"""A company whose incidents are published by hand: the table as the marts make it, and a log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import sluice
from warehouse import platform_log
from warehouse.publish import PublicTable, publish
from warehouse.settings import Settings, settings
from warehouse.workshop import connect

TABLE = """
    create or replace table marts.platform_incidents (
        incident_id varchar, dataset_key varchar, dataset_name varchar, source varchar,
        layer varchar, owner varchar, tier bigint, kind varchar, reason varchar,
        opened_at timestamptz, arrived_at timestamptz, closed_at timestamptz, is_open boolean,
        acknowledged_at timestamptz, acknowledged_by varchar, cause varchar,
        detect_seconds decimal(18, 3), restore_seconds decimal(18, 3),
        affected_dataset_count bigint,
        affected_datasets varchar, affected_metrics varchar, affected_owners varchar,
        explained_closing_count bigint, is_recurrence boolean, recurrence_of varchar,
        run_id varchar
    )"""
REASON = "average payment: 647 660.97, must be less than 20 000"


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def payments(incident_id: str = "3fa85f64", **changes: Any) -> dict[str, Any]:
    """An incident that has been open for two hours."""
    opened = ago(hours=2)
    return {
        "incident_id": incident_id,
        "dataset_key": "raw.billing.payments",
        "dataset_name": "payments",
        "source": "billing",
        "layer": "raw",
        "owner": "finance",
        "tier": 1,
        "kind": "check_failed",
        "reason": REASON,
        "opened_at": opened,
        "arrived_at": opened - timedelta(seconds=19),
        "closed_at": None,
        "is_open": True,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "cause": None,
        "detect_seconds": 19.0,
        "restore_seconds": None,
        "affected_dataset_count": 2,
        "affected_datasets": "curated.fct_payments, marts.finance_revenue",
        "affected_metrics": "collected_revenue",
        "affected_owners": "finance",
        "explained_closing_count": 0,
        "is_recurrence": False,
        "recurrence_of": None,
        "run_id": "run-1",
    } | changes


def closed(incident: dict[str, Any], **after: float) -> dict[str, Any]:
    at = incident["opened_at"] + timedelta(**after)
    return incident | {
        "closed_at": at,
        "is_open": False,
        "restore_seconds": timedelta(**after).total_seconds(),
    }


@dataclass
class Company:
    """Publish incidents, log events, speak to `sluice` as a person would."""

    settings: Settings
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def publish(self, *rows: dict[str, Any], stale: tuple[str, ...] = ()) -> None:
        self.known |= {row["incident_id"]: row for row in rows}
        with closing(connect(self.settings)) as connection:
            connection.execute("create schema if not exists marts")
            connection.execute("create or replace table marts.finance_revenue as select 1 as a")
            connection.execute(TABLE)
            for row in self.known.values():
                marks = ", ".join("?" for _ in row)
                connection.execute(
                    f"insert into marts.platform_incidents values ({marks})", list(row.values())
                )
        tables = [
            PublicTable(name, f"marts.{name}", name not in stale, "gate raw.billing.payments")
            for name in ("platform_incidents", "finance_revenue")
        ]
        publish(self.settings, tables, "run-1")

    def __call__(self, *words: str, code: int = 0) -> Result:
        settings.cache_clear()
        done = CliRunner().invoke(sluice, ["incident", *words])
        if code == 0:
            assert done.exit_code == 0, done.exception or done.output
        else:
            assert getattr(done.exception, "exit_code", done.exit_code) == code, done.output
        return done

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").stdout)

    def log(self, kind: str) -> list[dict[str, Any]]:
        return list(platform_log.read_newest_first(self.settings, kind))[::-1]

    def write(self, name: str, text: str) -> Path:
        path = self.settings.data_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def event(self, kind: str, at: datetime, **event: Any) -> None:
        """An event of the log, as if it had been written then."""
        day = f"{self.settings.landing_url}/{platform_log.PLATFORM}/{kind}/{at:%Y-%m-%d}"
        Path(day).mkdir(parents=True, exist_ok=True)
        line = {"event_id": os.urandom(8).hex(), "logged_at": at.isoformat(), **event}
        Path(day, f"{at:%Y%m%dT%H%M%S%f}-00000000.jsonl").write_text(json.dumps(line) + "\n")


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    for name in [each for each in os.environ if each.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    settings.cache_clear()
    yield Company(settings())
