"""Every model says what it is, is held by tests, and its unit tests pass."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from platform_under_test import Demo

from catalog.catalog import load_catalog
from warehouse import dbt
from warehouse.settings import PROJECT_ROOT

Manifest = Mapping[str, Any]
Models = Mapping[str, dict[str, Any]]
# Nothing is computed in these: a list of columns, a seed or a calendar under another name.
WITHOUT_LOGIC = {"dim_exchange_rates", "dim_plans", "metrics_time_spine"}
# A view shows the rows of the table that it reads: the key is tested there, once.
KEYED_BY_WHAT_IT_READS = {"fct_product_events": "stg_events__product_events"}
KEY_TESTS = {"unique", "unique_combination"}


@pytest.fixture(scope="module")
def manifest(demo: Demo) -> Manifest:
    return load_catalog(demo.sluice.settings).manifest


@pytest.fixture(scope="module")
def models(manifest: Manifest) -> Models:
    nodes = manifest["nodes"].values()
    return {each["name"]: each for each in nodes if each["resource_type"] == "model"}


def test_every_model_and_column_is_described_and_has_an_owner_a_tier_and_a_classification(
    models: Models,
) -> None:
    for name, model in models.items():
        assert model["description"].startswith("One row per"), name
        meta = model["config"]["meta"]
        assert meta.keys() >= {"owner", "tier", "classification"}, name
        for column in model["columns"].values():
            assert column["data_type"] and column["description"], f"{name}.{column['name']}"


def test_what_is_public_keeps_a_contract(models: Models) -> None:
    public = {name for name, each in models.items() if each["config"]["access"] == "public"}
    kept = {name for name, each in models.items() if each["config"]["contract"]["enforced"]}
    assert public and public <= kept, public - kept
    assert {name for name, each in models.items() if "marts" in each["tags"]} <= public


def test_every_models_key_is_tested(manifest: Manifest, models: Models) -> None:
    tested = {
        each["attached_node"].rpartition(".")[2]
        for each in manifest["nodes"].values()
        if each["resource_type"] == "test"
        and (each.get("test_metadata") or {}).get("name") in KEY_TESTS
        and each["attached_node"]
    }
    without = {name for name in models if KEYED_BY_WHAT_IT_READS.get(name, name) not in tested}
    assert without == set()
    for view in KEYED_BY_WHAT_IT_READS:
        assert models[view]["config"]["materialized"] == "view"


def test_every_model_that_has_logic_has_a_unit_test(manifest: Manifest, models: Models) -> None:
    shown = {each["model"] for each in manifest["unit_tests"].values()}
    assert models.keys() - shown == WITHOUT_LOGIC


def test_every_unit_test_passes(demo: Demo, tmp_path: Path) -> None:
    """No run asks for them: they speak of the SQL, and a change of it is tested here."""
    made = demo.sluice.settings
    for part in ("warehouse", "dbt"):
        shutil.copytree(made.data_dir / part, tmp_path / part)
    outcome = dbt.run(
        made.model_copy(update={"data_dir": tmp_path}), ["test", "--select", "test_type:unit"]
    )
    said: dict[str, list[str]] = defaultdict(list)
    for each in outcome.nodes:
        said[each.status].append(f"{each.unique_id}: {each.message}")
    assert said.keys() == {"pass"}, {key: said[key] for key in said if key != "pass"}
    written = sum(
        text.count("\n    model: ")
        for path in (PROJECT_ROOT / "dbt_project" / "models").rglob("*.yml")
        if "unit_tests:" in (text := path.read_text())
    )
    assert len(said["pass"]) == written > 60
