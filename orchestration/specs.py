"""Assets as Dagster shows them, derived from the catalog: no dataset is named here."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from catalog.catalog import Catalog, Column, Dataset
from warehouse.settings import settings
from warehouse.snapshot_rows.books import VIEWS


def engine_kind() -> str:
    return "postgresql" if settings().target == "postgres" else settings().target


def published_schema() -> str:
    """A snapshot of DuckDB is a file of one environment, and needs no prefix."""
    return str(VIEWS) if settings().target == "postgres" else VIEWS.word


def asset_key(dataset: Dataset) -> dg.AssetKey:
    return dg.AssetKey(dataset.key.split("."))


def published_key(dataset: Dataset) -> dg.AssetKey:
    return dg.AssetKey(["published", dataset.name])


def landing_key(source: str, entity: str) -> dg.AssetKey:
    return dg.AssetKey(["landing", source, entity])


def dataset_key(key: dg.AssetKey) -> str:
    return ".".join(key.path)


def dataset_spec(catalog: Catalog, dataset: Dataset) -> dg.AssetSpec:
    deps = [asset_key(catalog[parent]) for parent in dataset.parents]
    if dataset.layer == "raw":
        deps = [landing_key(dataset.source, dataset.name)]
    return dg.AssetSpec(
        asset_key(dataset),
        deps=deps,
        skippable=True,
        description=dataset.description or None,
        group_name=group(dataset),
        owners=_owners(dataset),
        kinds={"table", engine_kind()} if dataset.layer == "raw" else {"dbt", engine_kind()},
        tags=_tags(dataset),
        metadata={
            "dagster/column_schema": dg.TableSchema([_column(each) for each in dataset.columns]),
            "dagster/relation_identifier": dataset.relation,
            "sluice/file": dataset.path,
            "sluice/tier": dataset.tier,
        },
    )


def landing_spec(dataset: Dataset, *, is_fetched: bool = False) -> dg.AssetSpec:
    """What lies in landing; if a step of ours fetches it, it should have looked of late."""
    hours = (dataset.meta.get("service_level") or {}).get("freshness_hours")
    fresh = None
    if is_fetched and hours:
        fresh = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=float(hours)))
    return dg.AssetSpec(
        landing_key(dataset.source, dataset.name),
        description=f"Files as {dataset.source} sent them: landing/{dataset.source}/{dataset.name}",
        group_name="landing",
        kinds={str(dataset.meta.get("format", "file"))},
        owners=_owners(dataset),
        tags={"sluice/source": dataset.source},
        freshness_policy=fresh,
    )


def published_spec(dataset: Dataset) -> dg.AssetSpec:
    return dg.AssetSpec(
        published_key(dataset),
        deps=[asset_key(dataset)],
        skippable=True,
        description=dataset.description or None,
        group_name="published",
        owners=_owners(dataset),
        kinds={"snapshot", engine_kind()},
        tags=_tags(dataset),
        metadata={
            "dagster/column_schema": dg.TableSchema([_column(each) for each in dataset.columns]),
            "dagster/relation_identifier": f"{published_schema()}.{dataset.name}",
        },
    )


def group(dataset: Dataset) -> str:
    return (
        dataset.layer
        if dataset.layer in ("seeds", "raw", "staging")
        else (
            f"{dataset.layer}_{dataset.subject}"
            if dataset.subject != dataset.layer
            else dataset.layer
        )
    )


def _owners(dataset: Dataset) -> list[str]:
    return [f"team:{dataset.owner}"] if dataset.owner else []


def _tags(dataset: Dataset) -> dict[str, str]:
    return {
        "sluice/layer": dataset.layer,
        "sluice/tier": str(dataset.tier),
        "sluice/classification": dataset.classification,
        "sluice/access": "public" if dataset.is_public else "private",
    }


def _column(column: Column) -> dg.TableColumn:
    return dg.TableColumn(
        column.name,
        column.data_type or "unknown",
        description=column.description or None,
        tags={"sluice/classification": column.classification},
    )
