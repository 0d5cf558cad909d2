"""Metrics as assets: after each publish every metric is asked, and its newest value is shown."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from catalog.catalog import Catalog
from orchestration.progress import say
from orchestration.scope import is_due_only
from orchestration.specs import published_key
from orchestration.writer import RETRIES
from serving import asked
from serving import metrics as serving_metrics
from serving.definitions import Metric
from serving.published import open_published
from warehouse import snapshots
from warehouse.connection import Connection
from warehouse.errors import SluiceError
from warehouse.settings import settings

STEP = "metrics"


def metric_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["metrics", name])


def metrics_step(catalog: Catalog) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=STEP,
        description="Ask every governed number of the snapshot that was just published.",
        specs=[_spec(catalog, name, node) for name, node in sorted(_metrics(catalog).items())],
        can_subset=True,
        retry_policy=RETRIES,
    )
    def measure(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        wrong: list[str] = []
        known = serving_metrics.list_metrics(settings())
        now = asked.marks(settings(), known)
        before = asked.remembered(settings()) if is_due_only(context) else {}
        answered = {name for name, mark in now.items() if before.get(name) == mark}
        stale = _stale_tables()
        wanted = [each for each in known if metric_key(each.name) in context.selected_asset_keys]
        chosen = [each for each in wanted if not stale & _tables(catalog, each.name)]
        found = [each for each in chosen if each.name not in answered]
        for metric, answer in _answers(found):
            if isinstance(answer, SluiceError):
                wrong.append(f"{metric.name}: {answer.what}")
                continue
            value, when = answer
            answered.add(metric.name)
            yield dg.MaterializeResult(
                asset_key=metric_key(metric.name),
                metadata={
                    "value": dg.MetadataValue.float(value) if value is not None else "no value",
                    "as of": str(when),
                    "unit": metric.unit,
                },
            )
        asked.remember(settings(), now, answered)
        sign = "✗" if wrong else "✓"
        rest = len(chosen) - len(found)
        note = f", {rest} others read nothing new" if rest else ""
        waiting = len(wanted) - len(chosen)
        note += f", {waiting} wait for tables that stay as they were" if waiting else ""
        say(context, f"{sign} metrics: {len(found) - len(wrong)} of {len(found)} answered{note}")
        if wrong:
            raise dg.Failure("; ".join(wrong), allow_retries=False)

    return measure


def _stale_tables() -> frozenset[str]:
    """What the snapshot shows as it was: a metric that reads any of it has no newer value."""
    snapshot = snapshots.current(settings())
    tables = snapshot.tables if snapshot is not None else ()
    return frozenset(each.name for each in tables if each.state != "fresh")


def _tables(catalog: Catalog, metric: str) -> frozenset[str]:
    return frozenset(catalog[key].name for key in catalog.metrics[metric])


Newest = tuple[float | None, object]


def _answers(metrics: Sequence[Metric]) -> Iterator[tuple[Metric, Newest | SluiceError]]:
    """Each metric's newest value, or why there is none; all of them of one snapshot."""
    if not metrics:
        return
    snapshot = open_published(settings())
    try:
        for metric in metrics:
            try:
                yield metric, newest(metric, snapshot)
            except SluiceError as error:
                yield metric, error
                # After an error, a server's session answers nothing more.
                snapshot.close()
                snapshot = open_published(settings())
    finally:
        snapshot.close()


def newest(metric: Metric, snapshot: Connection) -> Newest:
    """The metric's value in its finest grain's newest period."""
    if metric.requires or not metric.grains:
        return None, "needs a dimension"
    today = serving_metrics.last_day(settings(), [metric.name])
    grain = metric.grains[0]
    start = date(today.year - 1, today.month, 1)
    answer = serving_metrics.query(
        settings(),
        [metric.name],
        [grain],
        start=start,
        end=today,
        order=[f"-{grain}"],
        limit=2,
        quietly=True,
        on=snapshot,
    )
    for when, value in answer.rows:
        if value is not None:
            return float(value), when
    return None, "no value"


def metric_names(catalog: Catalog) -> tuple[str, ...]:
    return tuple(sorted(catalog.metrics))


def _spec(catalog: Catalog, name: str, node: Mapping[str, Any]) -> dg.AssetSpec:
    meta = dict(node["config"].get("meta") or node.get("meta") or {})
    owner = str(meta.get("owner", ""))
    return dg.AssetSpec(
        metric_key(name),
        deps=[published_key(catalog[key]) for key in sorted(catalog.metrics[name])],
        skippable=True,
        description=(node.get("description") or "").strip() or None,
        group_name="metrics",
        owners=[f"team:{owner}"] if owner else [],
        kinds={"metricflow"},
        tags={"sluice/layer": "metrics", "sluice/tier": str(meta.get("tier", 3))},
        metadata={"type": str(node["type"])},
    )


def _metrics(catalog: Catalog) -> dict[str, Mapping[str, Any]]:
    return {node["name"]: node for node in catalog.manifest["metrics"].values()}
