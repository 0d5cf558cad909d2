"""A developer's build reads what production publishes, and publishes nothing."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
import warehouse_rows
from platform_under_test import Demo, Sluice, sluice_in

from warehouse import snapshots, structure
from warehouse.workshop import connect

MODEL = "growth_trial_conversion_monthly"


@pytest.fixture(scope="module")
def desk(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Sluice:
    """A developer's own folder, in which nothing has landed."""
    published = demo.sluice.settings.published_dir
    return sluice_in(tmp_path_factory.mktemp("desk"), SLUICE_PRODUCTION=str(published))


def test_a_model_is_built_from_what_production_publishes(demo: Demo, desk: Sluice) -> None:
    told = json.loads(desk("develop", MODEL, "--json").stdout)
    assert [(each["key"], each["status"]) for each in told["models"]] == [
        (f"marts.{MODEL}", "success")
    ]
    assert [each["name"] for each in told["fetched"]] == ["fct_trials"]
    assert told["failed_tests"] == []
    assert told["test_count"] > 3
    with (
        closing(connect(desk.settings)) as here,
        closing(snapshots.open_published(demo.sluice.settings)) as there,
    ):
        columns = list(structure.columns(here)["marts", MODEL])
        ours = warehouse_rows.rows(here, "marts", MODEL, columns)
        assert len(ours) > 5
        assert ours == warehouse_rows.rows(there, "published", MODEL, columns)
        # Only what it reads was copied, and nothing else was built.
        assert {table for schema, table in structure.columns(here) if schema == "production"} == {
            "fct_trials",
            "_fetched",
        }
    assert snapshots.current_id(desk.settings) is None
    assert told["snapshot"]["as_of"].startswith("2026-04-01")


def test_what_production_does_not_publish_has_to_be_built_here(desk: Sluice) -> None:
    said = desk("develop", "fct_sessions", code=1)
    assert "curated.fct_product_events" in said.stderr and "+fct_sessions" in said.stderr


def test_without_production_it_is_said_how_to_name_it(desk: Sluice, tmp_path: Path) -> None:
    nowhere = sluice_in(tmp_path)
    shutil.copytree(desk.settings.dbt_target_path, nowhere.settings.dbt_target_path)
    assert "SLUICE_PRODUCTION" in nowhere("develop", MODEL, code=2).stderr
    empty = tmp_path / "published"
    empty.mkdir()
    duckdb.connect(str(empty / "current.duckdb")).close()
    wrong = sluice_in(tmp_path, SLUICE_PRODUCTION=str(empty))
    assert "published nothing" in wrong("develop", MODEL, code=1).stderr
