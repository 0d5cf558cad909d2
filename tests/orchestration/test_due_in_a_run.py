"""A run builds what is due and no more, and ends with the rows of a full rebuild."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from crash.company import Company
from platform_under_test import Sluice
from warm import Warm

from catalog import leaks
from catalog.catalog import Catalog, from_manifest, load_catalog
from orchestration.planning import plan
from orchestration.run_log import MODELS, RUNS
from orchestration.watch import Watch
from quality.due import Due
from warehouse import dbt, snapshots, versions
from warehouse.clock import as_of
from warehouse.platform_log import read_newest_first
from warehouse.settings import settings
from warehouse.workshop import connect

LOST = "product_retention_weekly"


@pytest.fixture(scope="module")
def company(module_demo: Sluice, warm: Warm) -> Company:
    """What the platform says of itself is not what this is about: no report is made."""
    return Company(module_demo.folder, warm)


@pytest.fixture
def here(
    module_demo: Sluice, company: Company, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Catalog]:
    """This process looks at the company, too."""
    with monkeypatch.context() as patch:
        for key, value in module_demo.environment.items():
            patch.setenv(key, value)
        settings.cache_clear()
        yield load_catalog(settings())


def built(sluice: Company) -> list[str]:
    """Every model that was ever built, the newest last."""
    return [each["dataset"] for each in read_newest_first(sluice.settings, MODELS)][::-1]


def due(catalog: Catalog) -> Due:
    return Watch(catalog).look(Watch(catalog).company)


def test_without_news_nothing_is_built_and_nothing_published(company: Company) -> None:
    before, seen = built(company), snapshots.current_id(company.settings)
    run = company("run")
    assert "✓ 0 of " in run.output
    assert built(company) == before and snapshots.current_id(company.settings) == seen
    ended, started, *_ = read_newest_first(company.settings, RUNS)
    assert (started["event"], ended["event"], ended["outcome"]) == ("started", "ended", "success")
    assert started["run_id"] == ended["run_id"] and started["selection"] == []


def test_a_changed_model_is_due_with_what_reads_it(here: Catalog) -> None:
    manifest = json.loads(json.dumps(here.manifest))
    manifest["nodes"]["model.sluice.fct_refunds"]["checksum"]["checksum"] = "of other SQL"
    found = due(from_manifest(manifest))
    key = "curated.fct_refunds"
    assert found.build.keys() == {key, *here.descendants(key)}
    assert found.build[key] == "its definition has changed"


def test_a_changed_macro_makes_due_what_calls_it_through_others(here: Catalog) -> None:
    manifest = json.loads(json.dumps(here.manifest))
    manifest["macros"]["macro.sluice.default__as_of_instant"]["macro_sql"] += "{# other #}"
    changed = {k for k, v in due(from_manifest(manifest)).build.items() if "definition" in v}
    assert changed == here.clocked and "marts.finance_receivables_current" in changed


def test_another_day_makes_due_what_reads_the_clock(
    here: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_AS_OF", (as_of(settings()) + timedelta(days=1)).isoformat())
    settings.cache_clear()
    found = due(here)
    by_the_day = {key for key, why in found.build.items() if "the last day is" in why}
    assert by_the_day == here.clocked
    assert found.build.keys() == here.clocked.union(*(map(here.descendants, here.clocked)))
    # Not a single file has come, but nobody says that all is well two days later either.
    monkeypatch.setenv("SLUICE_AS_OF", (as_of(settings()) + timedelta(days=9)).isoformat())
    settings.cache_clear()
    assert due(here).judge["raw.app.users"] == "its freshness is fail now"


def test_another_test_or_check_is_due_for_judging_only(here: Catalog) -> None:
    manifest = json.loads(json.dumps(here.manifest))
    manifest["nodes"][here.tests["curated.fct_refunds"][0]]["config"]["where"] = "true"
    found = due(from_manifest(manifest))
    assert not found.build and found.judge == {"curated.fct_refunds": "its checks have changed"}


def test_one_file_and_a_lost_table_build_what_depends_on_them_and_no_more(
    company: Company, here: Catalog
) -> None:
    before = built(company)
    land_a_lead(company)
    empty = "crm/leads/2026-03-31/empty.csv"
    (Path(company.settings.landing_url) / empty).write_bytes(b"")
    with closing(connect(company.settings)) as workshop:
        workshop.execute(f"drop table marts.{LOST}")
    planned = plan(here, "build", print)
    assert planned is not None
    assert planned.found.build["raw.crm.leads"] == "2 files to be loaded"
    # Both entities of the source, in a word.
    assert f"(raw.crm: 2 files to be loaded; marts.{LOST}: marts.{LOST} does not" in str(planned)
    assert planned.found.build[f"marts.{LOST}"] == f"marts.{LOST} does not exist"
    run = company("run")
    assert " datasets are due (" in run.output and "load crm: 2 files," in run.output
    assert f"    empty: {empty}; " in run.output
    assert "load billing" not in run.output
    company_s = {key for key in built(company)[len(before) :] if not here[key].is_about_platform}
    below = {key for key in here.descendants("raw.crm.leads") if here[key].layer != "raw"}
    # What this one reads came out with the same rows: a lead is not an account.
    assert company_s == below - {"marts.accounts_overview"} | {f"marts.{LOST}"}
    # Consumers see it, and nothing is left to do.
    assert company("run").output.count("✓ 0 of ") == 1


def test_what_calls_its_columns_too_little_stays_behind_alone(
    company: Company, here: Catalog
) -> None:
    found = company.settings.dbt_target_path / "leaks.json"
    known = found.read_text()
    said = {
        "reason": "its classification: email is public",
        "columns": {"email": "personal"},
    }
    leaks.remember(found, json.loads(known)["state"], {"curated.dim_leads": said})
    reader = "marts.growth_funnel_monthly"
    assert reader in here.descendants("curated.dim_leads")
    before = built(company)
    run = company("run", "--select", "dim_leads", "--select", "growth_funnel_monthly", code=4)
    assert "shut: curated.dim_leads: its classification: email is public" in run.output
    # Inside, what reads it goes on; only consumers see the table as it was.
    assert reader in built(company)[len(before) :]
    shown = {each.name: each.state for each in snapshots.current(company.settings).tables}
    assert (shown["dim_leads"], shown["growth_funnel_monthly"]) == ("stale", "fresh")
    found.write_text(known)
    company("run")
    assert {each.state for each in snapshots.current(company.settings).tables} == {"fresh"}


def test_its_rows_are_those_of_a_full_rebuild(company: Company, here: Catalog) -> None:
    before = rows(company)
    environment = dict(os.environ)
    outcome = dbt.run(
        company.settings,
        ["run", "--full-refresh", "--exclude", "source:platform+"],
    )
    os.environ.update(environment)
    assert outcome.success and len(outcome.nodes) > 40
    assert rows(company) == before


def test_dbt_builds_and_tests_what_a_step_names_and_no_more(
    company: Company, here: Catalog
) -> None:
    for key in ("marts.finance_revenue_monthly", "curated.fct_refunds"):
        named = {here[key].unique_id, here.tests[key][0]}
        outcome = dbt.build(company.settings, named)
        assert outcome.success and {each.unique_id for each in outcome.nodes} == named


def test_dbt_takes_no_more_memory_than_it_may(company: Company, here: Catalog) -> None:
    settings = company.settings.model_copy(update={"duckdb_memory_limit": "2GB"})
    # Who has the same file open in this process shares its settings.
    with closing(duckdb.connect(str(settings.workshop_path))) as other:
        assert dbt.build(settings, {here["curated.fct_refunds"].unique_id}).success
        assert other.execute("select current_setting('memory_limit')").fetchall() == [("1.8 GiB",)]


def rows(sluice: Company) -> Mapping[str, Any]:
    with closing(connect(sluice.settings)) as workshop:
        return {
            key: versions.fingerprint(workshop, each)
            for key, each in versions.relations(workshop).items()
            if key.startswith(("staging.", "curated.", "marts.")) and "platform_" not in key
        }


def land_a_lead(sluice: Company) -> None:
    """The newest file once more, its leads being new ones."""
    landing = Path(sluice.settings.landing_url) / "crm" / "leads"
    newest = max(path for path in landing.rglob("*.csv") if len(path.read_text().splitlines()) > 1)
    header, *lines = newest.read_text().splitlines()
    place = header.split(",").index("lead_id")
    fresh = []
    for number, line in enumerate(lines):
        fields = line.split(",")
        fields[place] = f"lead_due_{number}"
        fresh.append(",".join(fields))
    target = newest.with_name(f"{newest.stem[:-1]}9.csv")
    assert not target.exists()
    target.write_text("\n".join([header, *fresh]) + "\n")
