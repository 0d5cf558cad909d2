"""Runs, model builds and deploys as events of the platform log, whoever started the run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from catalog.catalog import Catalog
from warehouse import dbt, platform_log
from warehouse.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

RUNS, MODELS = "runs", "models"
RUN_LABEL = "sluice/run"
TRIGGER = "sluice/trigger"
BY_HAND_TOOL = "cli"
SELECTION = "sluice/selection"


@contextmanager
def logged(settings: Settings, instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """A run's beginning and end. One that is killed has no end: the log says so by its lack."""
    run = instance.get_run_by_id(run_id)
    started = time.monotonic()
    known: dict[str, object] = {
        "run_id": run_id,
        "job": run.job_name if run is not None else "",
        "trigger": _trigger(run.tags) if run is not None else "hand",
        "selection": (run.tags.get(SELECTION) or "").split() if run is not None else [],
    }
    platform_log.append(settings, RUNS, [{"event": "started", **known}])
    yield
    failed = [
        each.step_key
        for each in instance.get_run_step_stats(run_id)
        if each.status is not None and each.status.name == "FAILURE"
    ]
    ended = {
        "event": "ended",
        "outcome": "failure" if failed else "success",
        "failed_steps": failed,
        "seconds": round(time.monotonic() - started, 3),
    }
    platform_log.append(settings, RUNS, [{**known, **ended}])


def log_idle(settings: Settings, run_id: str, job: str) -> None:
    """A run that found nothing to do, and so was none of Dagster's."""
    known = {"run_id": run_id, "job": job, "trigger": BY_HAND_TOOL, "selection": []}
    ended = {"event": "ended", "outcome": "success", "failed_steps": [], "seconds": 0.0}
    platform_log.append(settings, RUNS, [{"event": "started", **known}, {**known, **ended}])


def _trigger(tags: Mapping[str, str]) -> str:
    if tags.get(TRIGGER):
        return tags[TRIGGER]
    if "dagster/schedule_name" in tags:
        return "schedule"
    if "dagster/sensor_name" in tags:
        return "sensor"
    return "backfill" if "dagster/backfill" in tags else "hand"


def log_models(
    settings: Settings, catalog: Catalog, nodes: Iterable[dbt.NodeResult], run_id: str
) -> None:
    """What each model cost."""
    events = []
    for node in nodes:
        key = catalog.keys_by_unique_id.get(node.unique_id)
        if key is not None:
            events.append(
                {
                    "run_id": run_id,
                    "dataset": key,
                    "status": node.status,
                    "seconds": round(node.seconds, 4),
                    "row_count": node.rows,
                    "materialized": catalog[key].materialized,
                    "message": "" if node.status == "success" else " ".join(node.message.split()),
                }
            )
    platform_log.append(settings, MODELS, events)
