"""Connectors in a run: each source is fetched, then loaded; and by `sluice ingest`."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner
from platform_under_test import Demo
from postgres_server import running

from catalog.catalog import load_catalog
from cli.main import sluice
from ingestion.connectors.fetching import asked
from ingestion.contracts import read_contracts
from ingestion.simulator.billing_api import BillingApi, Moods, from_landing, serving
from orchestration.definitions import BUILD, FETCH, build_definitions
from orchestration.fetching import CHECK, fetched_keys
from orchestration.specs import landing_key
from orchestration.writer import RETRIES
from warehouse.settings import PROJECT_ROOT, Settings, settings

LEADS = "Lead ID,channel,status,created_at,updated_at\nl1,search,new,{at},{at}\n"
AT = "2026-03-01T00:00:00Z"
SOURCES = ("crm", "billing", "app", "events")


@pytest.fixture(scope="module")
def api(demo: Demo) -> Iterator[tuple[BillingApi, str]]:
    api = from_landing(Path(demo.sluice.settings.landing_url), Moods())
    api.client = ("sluice", "a-secret-of-billing")
    with serving(api) as url:
        yield api, url


@pytest.fixture
def here(
    demo: Demo, api: tuple[BillingApi, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """An empty platform that knows its models, with a drop and an API to fetch from."""
    shutil.copytree(demo.sluice.settings.dbt_target_path, tmp_path / "data" / "dbt")
    (tmp_path / "drop").mkdir()
    for name, value in {
        "SLUICE_DATA_DIR": str(tmp_path / "data"),
        "SLUICE_DAGSTER_HOME": str(tmp_path / "dagster"),
        "CRM_DROP_URL": str(tmp_path / "drop"),
        "BILLING_API_URL": api[1],
        "BILLING_API_CLIENT": "sluice",
        "BILLING_API_SECRET": "a-secret-of-billing",
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    return settings()


@pytest.fixture
def app(here: Settings) -> Iterator[str]:
    """The application's database, with one account, as change capture wants it."""
    with running({"wal_level": "logical"}) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            for contract in read_contracts(here)["app"].values():
                columns = [f"{each.name} {each.data_type}" for each in contract.columns
                           if each.name not in ("change_id", "op", "changed_at")]  # fmt: skip
                key = f"primary key ({', '.join(contract.key)})"
                connection.execute(
                    f"create table {contract.entity} ({', '.join([*columns, key])})".encode()
                )
            connection.execute("insert into accounts (account_id) values ('a1')")
        yield server.dsn


def test_each_source_is_fetched_and_then_loaded(
    here: Settings,
    api: tuple[BillingApi, str],
    app: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By each of the four ways in: files, an API, change capture and events."""
    monkeypatch.setenv("APP_DATABASE_URL", app)
    monkeypatch.setenv("EVENTS_WRITE_KEY", "a-key-of-ours")
    (tmp_path / "drop" / "leads_1.csv").write_text(LEADS.format(at=AT))
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    for source in SOURCES:
        [step] = [
            each
            for each in definitions.assets or ()
            if isinstance(each, dg.AssetsDefinition) and each.node_def.name == f"fetch_{source}"
        ]
        assert step.node_def.retry_policy == RETRIES  # type: ignore[attr-defined]
        for entity in asked(here)[source].entities:
            landing, key = landing_key(source, entity), dg.AssetKey(["raw", source, entity])
            assert graph.get(key).parent_keys == {landing} and graph.get(landing).is_executable
            promised = load_catalog(here)[f"raw.{source}.{entity}"].meta["service_level"]
            policy = graph.get(landing).freshness_policy
            assert policy is not None
            assert policy.fail_window.to_timedelta() == timedelta(hours=promised["freshness_hours"])
    raw = [dg.AssetKey(["raw", *name]) for name in (("crm", "leads"), ("app", "accounts"))]
    with dg.DagsterInstance.ephemeral() as instance:
        fetched = definitions.resolve_job_def(FETCH).execute_in_process(instance=instance)
        rows = {
            event.asset_key: event.materialization.metadata["rows"].value
            for event in fetched.get_asset_materialization_events()
            if event.asset_key is not None
        }
        assert set(rows) == set(fetched_keys())
        assert rows[landing_key("app", "accounts")] == 1
        for entity in ("invoices", "payments", "customers"):
            assert rows[landing_key("billing", entity)] == len(api[0].rows[entity])
        assert all(
            each.passed
            for each in fetched.get_asset_check_evaluations()
            if each.check_name == CHECK
        )
        built = definitions.resolve_job_def(BUILD).execute_in_process(
            instance=instance, asset_selection=raw,
            raise_on_error=False,
        )  # fmt: skip
    loaded = {
        event.asset_key: event.materialization.metadata["dagster/row_count"].value
        for event in built.get_asset_materialization_events()
        if event.asset_key in raw
    }
    assert loaded == dict.fromkeys(raw, 1)


def test_the_collector_stops_in_order_and_what_it_took_is_in_landing(here: Settings) -> None:
    environment = {**os.environ, "EVENTS_WRITE_KEY": "a-key-of-ours"}
    server = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "collect", "--port", "0"],
        cwd=PROJECT_ROOT, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    told = server.stdout.readline()
    [port] = re.findall(r":(\d+)/", told)
    event = {
        "event_id": "e1", "event_name": "signed_in", "account_id": "a", "user_id": "u",
        "occurred_at": AT,
    }  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    connection.request("POST", "/v1/events", json.dumps([event]), {"X-Write-Key": "a-key-of-ours"})
    assert json.loads(connection.getresponse().read())["accepted"] == 1
    server.terminate()
    assert "1 file, 1 row landed" in server.stdout.read()
    server.wait()
    [landed] = Path(here.landing_url, "events", "events").glob("*/*.jsonl")
    assert json.loads(landed.read_text())["event_id"] == "e1"


def test_the_command_fetches_tells_and_is_told_of_what_went_wrong(
    here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drop" / "leads_1.csv").write_text(LEADS.format(at=AT))
    (tmp_path / "drop" / "leads_2.xls").write_bytes(b"an old format")
    runner = CliRunner()
    result = runner.invoke(sluice, ["ingest", "--json"])
    told = {each["source"]: each for each in json.loads(result.output)}
    assert result.exit_code == 1 and "leads_2.xls" in told["crm"]["problems"][0]
    assert told["billing"]["entities"]["invoices"]["rows"] > 100
    shown = runner.invoke(sluice, ["status"]).output
    assert "awake" in shown and "sleeps: APP_DATABASE_URL not set" in shown
    assert "leads_2.xls" in shown and "a-secret-of-billing" not in shown
    assert "0 files" in runner.invoke(sluice, ["ingest", "billing"]).output
    assert runner.invoke(sluice, ["ingest", "crm", "--forget"]).exit_code == 0
    assert "2 files" in runner.invoke(sluice, ["ingest", "crm"]).output
    assert "sleeps" in str(runner.invoke(sluice, ["ingest", "app"]).exception)
    assert "EVENTS_WRITE_KEY is not set" in str(runner.invoke(sluice, ["collect"]).exception)
    assert "No connector" in str(runner.invoke(sluice, ["ingest", "nobody"]).exception)
    monkeypatch.setenv("CRM_DROP_URL", str(tmp_path / "gone"))
    result = runner.invoke(sluice, ["ingest"])
    assert result.exit_code == 1 and "✗ crm" in result.output and "✓ billing" in result.output
