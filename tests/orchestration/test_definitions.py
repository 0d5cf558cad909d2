"""What Dagster shows is derived from the catalog: nothing is missing, nothing is ungated."""

from __future__ import annotations

import dagster as dg
import pytest
from platform_under_test import Demo

from catalog.catalog import BUILT_LAYERS, Catalog, load_catalog
from orchestration.branches import branches, sources
from orchestration.running import chosen_datasets
from orchestration.specs import asset_key, published_key
from quality.gate_state import GATED_LAYERS
from warehouse.errors import SettingsError


@pytest.fixture(scope="module")
def catalog(demo: Demo) -> Catalog:
    return load_catalog(demo.sluice.settings)


@pytest.fixture(scope="module")
def definitions(demo: Demo) -> dg.Definitions:
    patch = pytest.MonkeyPatch()
    for key, value in demo.sluice.environment.items():
        patch.setenv(key, value)
    from orchestration.definitions import build_definitions
    from warehouse.settings import settings

    settings.cache_clear()
    try:
        return build_definitions()
    finally:
        patch.undo()


def test_every_dataset_is_an_asset_with_owner_kind_columns_and_tags(
    definitions: dg.Definitions, catalog: Catalog
) -> None:
    graph = definitions.resolve_asset_graph()
    for dataset in catalog.datasets.values():
        if dataset.layer == "metrics":
            continue
        node = graph.get(asset_key(dataset))
        assert node.kinds, dataset.key
        if dataset.layer != "seeds":
            assert node.owners == [f"team:{dataset.owner}"], dataset.key
            assert node.tags["sluice/layer"] == dataset.layer
            schema = node.metadata["dagster/column_schema"]
            assert len(schema.columns) == len(dataset.columns) > 0, dataset.key
    for dataset in catalog.public():
        assert graph.get(published_key(dataset)).parent_keys == {asset_key(dataset)}


def test_every_gated_dataset_has_a_blocking_gate(
    definitions: dg.Definitions, catalog: Catalog
) -> None:
    checks = (
        {
            spec.asset_key
            for spec in definitions.resolve_all_asset_check_specs()  # type: ignore[attr-defined]
            if spec.name == "gate" and spec.blocking
        }
        if hasattr(definitions, "resolve_all_asset_check_specs")
        else {
            key.asset_key
            for key in definitions.resolve_asset_graph().asset_check_keys
            if key.name == "gate"
        }
    )
    for dataset in catalog.datasets.values():
        if dataset.layer in GATED_LAYERS:
            assert asset_key(dataset) in checks, dataset.key


def test_dbt_tests_are_asset_checks(definitions: dg.Definitions, catalog: Catalog) -> None:
    shown = definitions.resolve_asset_graph().asset_check_keys
    wanted = [
        node
        for node in catalog.manifest["nodes"].values()
        if node["resource_type"] == "test"
        and any(
            catalog.keys_by_unique_id.get(each, "").split(".")[0] in BUILT_LAYERS
            for each in node["depends_on"]["nodes"]
        )
    ]
    assert len([key for key in shown if key.name != "gate"]) == len(wanted) > 100


def test_datasets_of_other_sources_are_built_in_other_steps(catalog: Catalog) -> None:
    for branch in branches(catalog):
        assert {tuple(sorted(each.sources)) for each in branch.datasets} == {branch.sources}
    assert {branch.sources for branch in sources(catalog)} == {
        (name,) for name in {each.source for each in catalog.layer("raw")}
    }


def test_schedule_and_sensors_run_by_themselves(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert [each.name for each in repository.schedule_defs] == ["daily"]
    assert {each.name for each in repository.sensor_defs} >= {
        "new_landing_files", "publish_after_a_closed_gate",
    }  # fmt: skip


def test_a_selection_follows_the_lineage_and_a_wrong_name_is_answered_with_the_nearest(
    catalog: Catalog,
) -> None:
    up = chosen_datasets(catalog, ["+finance_mrr_daily"])
    assert up is not None
    assert {"finance_mrr_daily", "subscriptions"} <= {each.name for each in up}
    down = chosen_datasets(catalog, ["stg_crm__leads+"])
    assert down is not None and "growth_funnel_monthly" in {each.name for each in down}
    with pytest.raises(SettingsError, match="finance_mrr_daily"):
        chosen_datasets(catalog, ["finance_mrr_dayly"])
