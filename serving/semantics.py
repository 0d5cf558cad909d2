"""MetricFlow embedded, compile-only: from dbt's semantic manifest to SQL on the snapshot."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from serving.published import SCHEMA
from warehouse.connection import Engine
from warehouse.dbt import ensure_manifest
from warehouse.errors import SluiceError
from warehouse.settings import Settings

SEMANTIC_MANIFEST = "semantic_manifest.json"
TIME = "metric_time"
GRAINS = ("day", "week", "month", "quarter", "year")

_compiling = threading.Lock()


@dataclass(frozen=True)
class Dimension:
    """A way to slice a metric: `account__country`, or the key of an entity, `account`."""

    name: str
    kind: str  # categorical, time or entity

    @property
    def short(self) -> str:
        return self.name.rpartition("__")[2]


class Semantics:
    """One semantic manifest with its compiler; kept for as long as the project is unchanged."""

    def __init__(self, manifest: Mapping[str, Any], target: Engine = "duckdb") -> None:
        self.manifest = on_published(manifest)
        refuse_dropped_filters(self.manifest)
        self.metrics: dict[str, Mapping[str, Any]] = {
            metric["name"]: metric for metric in self.manifest["metrics"]
        }
        if not self.metrics:
            raise SluiceError(
                "The dbt project declares no metrics.",
                remedy="Declare them in dbt_project/models/metrics/*.yml.",
            )
        self._engine = _engine(self.manifest, target)
        self._dimensions: dict[str, tuple[Dimension, ...]] = {}

    def dimensions(self, metric: str) -> tuple[Dimension, ...]:
        """What the metric can be sliced and filtered by, its own time apart."""
        if metric not in self._dimensions:
            with _compiling:
                found = {
                    Dimension(each.granularity_free_dunder_name, each.type.value)
                    for each in self._engine.simple_dimensions_for_metrics([metric])
                    if each.name != TIME and not self._is_own_time(metric, each)
                }
                found |= {
                    Dimension(each.name, "entity")
                    for each in self._engine.entities_for_metrics([metric])
                }
            self._dimensions[metric] = tuple(sorted(found, key=lambda each: each.name))
        return self._dimensions[metric]

    def finest_grain(self, metric: str) -> str:
        """The coarsest of the grains at which the metric's measures are kept."""
        times = [_time(model, measure) for model, measure in self._measures(metric)]
        grains = {str(time["type_params"]["time_granularity"]) for time in times}
        return max(grains, key=GRAINS.index)

    def tables(self, metric: str) -> frozenset[str]:
        """The published tables that the metric is computed from."""
        return frozenset(model["node_relation"]["alias"] for model, _ in self._measures(metric))

    def _measures(self, metric: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """The measures that the metric sums up in the end, with their semantic models."""
        needed = {
            measure["name"] for measure in self.metrics[metric]["type_params"]["input_measures"]
        }
        for model in self.manifest["semantic_models"]:
            for measure in model["measures"]:
                if measure["name"] in needed:
                    yield model, measure

    def _is_own_time(self, metric: str, dimension: Any) -> bool:
        origin = dimension.semantic_model_reference
        return origin is not None and any(
            (model["name"], _time(model, measure)["name"])
            == (origin.semantic_model_name, dimension.name)
            for model, measure in self._measures(metric)
        )

    def compile(
        self,
        metrics: Sequence[str],
        group_by: Sequence[str],
        where: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> str:
        from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

        request = MetricFlowQueryRequest.create(
            metric_names=list(metrics),
            group_by_names=list(group_by) or None,
            where_constraints=list(where) or None,
            time_constraint_start=start,
            time_constraint_end=end,
        )
        # MetricFlow numbers its subqueries with one counter per process.
        with _compiling:
            return str(self._engine.explain(request).sql_statement.without_descriptions.sql)


def load_semantics(settings: Settings) -> Semantics:
    ensure_manifest(settings)
    path = settings.dbt_target_path / SEMANTIC_MANIFEST
    return _load(path, path.stat().st_mtime_ns, settings.target)


@lru_cache(maxsize=4)
def _load(path: Path, _modified: int, target: Engine) -> Semantics:
    return Semantics(json.loads(path.read_text()), target)


def on_published(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with every relation read from the snapshot instead of the workshop."""
    moved: dict[str, Any] = json.loads(json.dumps(manifest))
    relations = [model["node_relation"] for model in moved["semantic_models"]]
    relations += [spine["node_relation"] for spine in moved["project_configuration"]["time_spines"]]
    for relation in relations:
        relation["schema_name"] = SCHEMA
        relation["database"] = None
        relation["relation_name"] = f"{SCHEMA}.{relation['alias']}"
    return moved


def refuse_dropped_filters(manifest: Mapping[str, Any]) -> None:
    """MetricFlow drops a filter on a conversion measure without a word, and counts too much."""
    for metric in manifest["metrics"]:
        conversion = metric["type_params"].get("conversion_type_params")
        if conversion and conversion["conversion_measure"].get("filter"):
            raise SluiceError(
                f"The metric {metric['name']} filters its conversion_measure: MetricFlow drops "
                "such a filter, and the metric would count every conversion.",
                remedy="Give the filtered conversion event a semantic model of its own, and "
                "convert to that model's measure without a filter.",
            )


def _time(model: Mapping[str, Any], measure: Mapping[str, Any]) -> Mapping[str, Any]:
    """The time dimension along which the measure is summed."""
    name = measure.get("agg_time_dimension") or model["defaults"]["agg_time_dimension"]
    found: Mapping[str, Any] = next(each for each in model["dimensions"] if each["name"] == name)
    return found


def _engine(manifest: Mapping[str, Any], target: Engine) -> Any:
    # Imported here: MetricFlow costs most of a second, and most commands never ask a metric.
    from metricflow.engine.metricflow_engine import MetricFlowEngine
    from metricflow.protocols.sql_client import SqlEngine
    from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
    from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer
    from metricflow_semantics.model.dbt_manifest_parser import (
        parse_manifest_from_dbt_generated_manifest,
    )
    from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

    class CompileOnly:
        """What MetricFlow asks of a client when it only compiles."""

        sql_engine_type, sql_plan_renderer = {
            "duckdb": (SqlEngine.DUCKDB, DuckDbSqlPlanRenderer()),
            "postgres": (SqlEngine.POSTGRES, PostgresSQLSqlPlanRenderer()),
        }[target]

        def close(self) -> None: ...

    # It warns of its own lower bound (the year 2000) whenever only an end is given.
    logging.getLogger("metricflow_semantics").setLevel(logging.ERROR)
    with _compiling:
        parsed = parse_manifest_from_dbt_generated_manifest(json.dumps(manifest))
        return MetricFlowEngine(SemanticManifestLookup(parsed), CompileOnly())
