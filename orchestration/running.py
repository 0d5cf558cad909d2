"""Start a run from this process, on the same definitions and Dagster instance as the UI."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.catalog import Catalog, Dataset, load_catalog
from orchestration.progress import Reporter, reporting
from warehouse.errors import SettingsError
from warehouse.settings import Settings, settings

if TYPE_CHECKING:
    import dagster as dg

DAGSTER_YAML = Path(__file__).with_name("dagster.yaml")


@dataclass(frozen=True)
class RunOutcome:
    run_id: str
    success: bool
    problems: tuple[str, ...]


def prepare_dagster_home(settings: Settings) -> Path:
    """Dagster's home holds a copy of our instance settings; its history stays."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    wanted = DAGSTER_YAML.read_text()
    if not target.exists() or target.read_text() != wanted:
        target.write_text(wanted)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    return home


def run(selection: Sequence[str] = (), *, report: Reporter) -> RunOutcome:
    """Run everything due, or a selection; publish what is open even where a gate closed."""
    prepare_dagster_home(settings())
    # The step says what happened; libraries speak through the log of the run.
    for library in ("dagster", "soda"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    catalog = load_catalog(settings())
    chosen = chosen_datasets(catalog, selection)

    import dagster as dg

    from orchestration.definitions import EVERYTHING, PUBLISH, defs
    from orchestration.specs import asset_key, published_key

    keys: list[dg.AssetKey] | None = None
    if chosen is not None:
        # Reference data is loaded, and a snapshot is published, as a whole.
        whole = catalog.layer("seeds") if any(each.layer == "seeds" for each in chosen) else ()
        keys = sorted({asset_key(each) for each in (*chosen, *whole)})
        if any(each.is_public for each in chosen):
            keys += [published_key(each) for each in catalog.public()]
    with dg.DagsterInstance.get() as instance, reporting(report):
        first = _execute(instance, defs.resolve_job_def(EVERYTHING), keys)
        wants_publish = keys is None or any(key.path[0] == "published" for key in keys)
        if not first.success and wants_publish and not _published(first):
            second = _execute(instance, defs.resolve_job_def(PUBLISH), None)
            return RunOutcome(first.run_id, False, (*_problems(first), *_problems(second)))
    return RunOutcome(first.run_id, first.success, _problems(first))


def _execute(
    instance: dg.DagsterInstance, job: dg.JobDefinition, keys: list[dg.AssetKey] | None
) -> dg.ExecuteInProcessResult:
    return job.execute_in_process(
        instance=instance,
        asset_selection=keys,
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def _published(result: dg.ExecuteInProcessResult) -> bool:
    return any(event.is_step_success and event.step_key == "publish" for event in result.all_events)


def _problems(result: dg.ExecuteInProcessResult) -> tuple[str, ...]:
    found = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            cause = error.cause if error is not None and error.cause is not None else error
            message = cause.message.strip().split("\n")[0] if cause is not None else "failed"
            found.append(f"{event.step_key}: {message}")
    return tuple(found)


def chosen_datasets(catalog: Catalog, selection: Sequence[str]) -> tuple[Dataset, ...] | None:
    """`name`, `+name` (with what it reads), `name+` (with what reads it), `source:x`, `layer:x`."""
    if not selection:
        return None
    keys: set[str] = set()
    for item in selection:
        keys |= _select(catalog, item)
    return tuple(catalog[key] for key in sorted(keys))


def _select(catalog: Catalog, item: str) -> set[str]:
    upstream, downstream, name = item.startswith("+"), item.endswith("+"), item.strip("+")
    kind, _, value = name.partition(":")
    if value and kind == "source":
        found = {each.key for each in catalog.layer("raw") if each.source == value}
    elif value and kind == "layer":
        found = {each.key for each in catalog.layer(value)}
    else:
        dataset = catalog.named(name)
        found = {dataset.key} if dataset is not None else set()
    if not found:
        raise SettingsError(
            f"Nothing is called {name!r}.{_nearest(catalog, name)}",
            remedy="Name a dataset (finance_mrr_daily), its lineage (+finance_mrr_daily, "
            "stg_crm__leads+), source:<name> or layer:<name>.",
        )
    wide = set(found)
    for key in found:
        wide |= catalog.ancestors(key) if upstream else set()
        wide |= catalog.descendants(key) if downstream else set()
    return wide


def _nearest(catalog: Catalog, name: str) -> str:
    import difflib

    known = {each.name for each in catalog.datasets.values()} | set(catalog.datasets)
    near = difflib.get_close_matches(name, sorted(known), n=3)
    return f" Did you mean {', '.join(near)}?" if near else ""
