"""What Dagster shows is derived from the catalog: nothing is missing, nothing is ungated."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.tags import TagConcurrencyLimitsCounter
from platform_under_test import Demo

from catalog.catalog import BUILT_LAYERS, Catalog, load_catalog
from ingestion.load import load_all, newest_landed, pending
from orchestration.branches import branches, sources
from orchestration.running import chosen_datasets, prepare_dagster_home
from orchestration.schedules import waiting
from orchestration.specs import asset_key, published_key
from quality.gate_state import GATED_LAYERS
from warehouse import platform_log
from warehouse.errors import SettingsError
from warehouse.settings import settings
from warehouse.workshop import connect


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


def test_a_check_says_when_it_fails_and_of_what(
    definitions: dg.Definitions, catalog: Catalog
) -> None:
    graph = definitions.resolve_asset_graph()
    said = {key: graph.get(key).description or "" for key in graph.asset_check_keys}
    assert [key for key, text in said.items() if not text.endswith(".") and ": " not in text] == []
    assert said[check("marts.finance_mrr_daily", "accepted_range_mrr_usd_amount")] == (
        "Fails on values below or above bounds; null is in range. "
        "column: mrr_usd_amount; min_value: 0"
    )
    known = "Fails on values that the other table does not hold. column: event_name; "
    assert said[check("staging.stg_events__product_events", "relationships_event_name")] == (
        f"{known}to: event_taxonomy; field: event_name; where: occurred_on in recently_touched_days"
    )


def check(key: str, name: str) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(key.split(".")), name)


def test_groups_read_like_the_design(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    groups = {graph.get(key).group_name or "" for key in graph.get_all_asset_keys()}
    whole = {"landing", "raw", "seeds", "staging", "metrics", "published"}
    assert groups >= whole
    assert {each.partition("_")[0] for each in groups - whole} == {"curated", "marts"}


def test_a_crash_is_tried_again_and_waits_longer_each_time(definitions: dg.Definitions) -> None:
    jobs = definitions.get_repository_def().get_all_jobs()
    steps = {each.name: each for job in jobs for each in job.graph.iterate_op_defs()}
    assert len(steps) > 20
    for name, step in steps.items():
        policy = step.retry_policy
        assert policy and policy.max_retries > 0, name
        assert policy.backoff is dg.Backoff.EXPONENTIAL, name


def test_a_second_run_queues(
    definitions: dg.Definitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster itself says so, of our jobs and of the home that we give it."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    prepare_dagster_home(settings().model_copy(update={"dagster_home": tmp_path}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    for name in ("build", "report", "publish_open_tables"):
        tags = definitions.resolve_job_def(name).tags
        first, second = (dg.DagsterRun(job_name=name, tags=tags) for _ in range(2))
        limits = queue.tag_concurrency_limits
        assert not TagConcurrencyLimitsCounter(limits, []).is_blocked(first), name
        assert TagConcurrencyLimitsCounter(limits, [first]).is_blocked(second), name


def test_datasets_of_other_sources_are_built_in_other_steps(catalog: Catalog) -> None:
    for branch in branches(catalog):
        assert {tuple(sorted(each.sources)) for each in branch.datasets} == {branch.sources}
    assert {branch.sources for branch in sources(catalog)} == {
        (name,) for name in {each.source for each in catalog.layer("raw")}
    }


def test_schedule_and_sensors_run_by_themselves(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert [each.name for each in repository.schedule_defs] == ["daily"]
    assert {each.name for each in repository.sensor_defs} == {
        "new_landing_files", "report_after_build", "report_after_failed_build",
        "publish_open_tables_after_report", "publish_open_tables_after_failed_report",
    }  # fmt: skip


def test_the_platform_log_is_no_news_that_starts_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run writes into it: if it were, every run would start the next."""
    monkeypatch.setenv("SLUICE_DATA_DIR", str(tmp_path))
    here = settings()
    with closing(connect(here)) as connection:
        load_all(here, connection)
    platform_log.append(here, "runs", [{"event": "started", "run_id": "r1"}])
    with closing(connect(here, read_only=True)) as connection:
        assert len(pending(here, connection)["platform"]) == 1
    assert newest_landed(here) == {} and not waiting()
    folder = tmp_path / "landing" / "crm" / "leads" / "2026-03-31"
    folder.mkdir(parents=True)
    (folder / "1.csv").write_text("lead_id\n")
    assert newest_landed(here) == {"crm": ("crm/leads/2026-03-31/1.csv",)} and waiting()


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
