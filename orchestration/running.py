"""Start a run from this process, on the same definitions and Dagster instance as the UI."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.catalog import LAYERS, Catalog, Dataset, load_catalog
from orchestration.interrupting import interrupts_noticed
from orchestration.jobs import BUILD, PUBLISH, REPORT
from orchestration.planning import Plan, plan
from orchestration.progress import Reporter, Told, reporting
from orchestration.retaining import retain_idly
from orchestration.run_log import BY_HAND_TOOL, SELECTION, TRIGGER
from orchestration.scope import BACKFILL, SCOPE, Scope
from orchestration.telling import tell_people
from warehouse import dbt
from warehouse.errors import LockedError, SettingsError
from warehouse.settings import Settings, settings
from warehouse.words import did_you_mean

if TYPE_CHECKING:
    import dagster as dg
    from dagster_shared.error import SerializableErrorInfo

DAGSTER_YAML = Path(__file__).with_name("dagster.yaml")


@dataclass(frozen=True)
class RunOutcome:
    run_id: str
    success: bool
    problems: tuple[str, ...]
    unsaid: tuple[str, ...] = ()
    """Those of them that no step has reported."""


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


def run(
    selection: Sequence[str] = (),
    *,
    report: Reporter,
    jobs: Sequence[str] = (),
    everything: bool = False,
    backfill: str = "",
) -> RunOutcome:
    """Build what is due, a selection, or everything; then report and publish, whatever the gates
    say. `jobs` names those that shall run, where that is not all of them; `backfill` the one
    that this is a step of.
    """
    prepare_dagster_home(settings())
    if not dbt.is_parsed(settings()):
        report("… reading the models")
    catalog = load_catalog(settings())
    chosen = chosen_datasets(catalog, selection)
    is_whole = chosen is None and not jobs
    planned = plan(catalog, BUILD, report) if is_whole and not everything else None
    if planned is not None:
        report(str(planned))
        chosen = tuple(catalog[key] for key in sorted(planned.candidates))
        if planned.is_idle and not _reports_idly(planned) and not planned.is_to_publish:
            tell_people(report)
            retain_idly(settings(), catalog, report)
            return RunOutcome(planned.run_id, True, ())
    scope: Scope = "due" if is_whole and not everything else "named" if chosen else "all"
    more = {BACKFILL: backfill} if backfill else {}
    return _run(catalog, chosen, selection, report, jobs, scope, planned, more)


def _run(
    catalog: Catalog,
    chosen: Sequence[Dataset] | None,
    selection: Sequence[str],
    report: Reporter,
    jobs: Sequence[str],
    scope: Scope,
    planned: Plan | None,
    more_tags: Mapping[str, str],
) -> RunOutcome:
    import dagster as dg

    from orchestration.definitions import defs, jobs_in_order
    from orchestration.timeline import LABEL, show

    # The step says what happened; libraries speak through the log of the run.
    for library in ("dagster", "soda"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    results: list[dg.ExecuteInProcessResult] = []
    problems: list[tuple[str, str]] = []
    told = Told(report)
    with (
        dg.DagsterInstance.get() as instance,
        reporting(told),
        interrupts_noticed() as stop_if_interrupted,
    ):
        for name, keys, _ in jobs_in_order(catalog):
            # After what was due, what follows from it is found out on the way.
            is_all = chosen is None or (scope == "due" and name != BUILD)
            wanted = keys if is_all else _of_chosen(catalog, name, keys, chosen or ())
            if jobs and name not in jobs:
                continue
            if name == REPORT and not jobs and not _reports(scope, results, planned):
                continue
            if wanted:
                # What follows from a selection is what is due after it.
                tags = {
                    **more_tags,
                    **LABEL,
                    TRIGGER: BY_HAND_TOOL,
                    **({SELECTION: " ".join(selection)} if selection and name == BUILD else {}),
                    SCOPE: scope if name == BUILD or scope == "all" or jobs else "due",
                }
                if name == REPORT:
                    told("… report: the platform's own log is loaded, built and checked")
                told.holds = name == REPORT
                said = ""
                try:
                    results.append(_execute(instance, defs.resolve_job_def(name), wanted, tags))
                    said = _reported(results[-1])
                finally:
                    if told.holds:
                        told.let_go(said)
                stop_if_interrupted()
                show(instance, results[-1])
                problems += _problems(results[-1])
    run_id = planned.run_id if planned is not None and planned.is_idle else results[0].run_id
    return RunOutcome(
        run_id,
        all(each.success for each in results),
        tuple(f"{where}: {what}" for where, what in problems),
        tuple(f"{where}: {what}" for where, what in problems if not told.has_said(what)),
    )


def _reported(result: dg.ExecuteInProcessResult) -> str:
    """One line for all that the platform did about itself; nothing if it did not go well."""
    if not result.success:
        return ""
    tables = sum(each.is_step_materialization for each in result.all_events)
    checks = len(result.get_asset_check_evaluations())
    return f"✓ report: {tables} tables about the platform itself, {checks} checks"


def _reports_idly(planned: Plan) -> bool:
    """Is a run that builds nothing to load the platform's log?"""
    wanted = settings().report
    return planned.is_to_report if wanted == "needed" else wanted == "always"


def _reports(
    scope: Scope, results: Sequence[dg.ExecuteInProcessResult], planned: Plan | None
) -> bool:
    """After a selection only if there is an incident to open, or one that it may have closed."""
    if planned is not None and planned.is_idle:
        return _reports_idly(planned)
    if settings().report != "needed":
        return settings().report == "always"
    if scope != "named" or not results or not all(each.success for each in results):
        return True
    from serving.incidents import published_incidents

    return any(each.is_open for each in published_incidents(settings()))


def _of_chosen(
    catalog: Catalog, job: str, keys: Sequence[dg.AssetKey], chosen: Sequence[Dataset]
) -> list[dg.AssetKey]:
    """Of a job's assets those that were chosen; what follows a build is done as a whole."""
    from orchestration.measuring import metric_key
    from orchestration.specs import asset_key, landing_key

    if job == BUILD:
        # Reference data is loaded as a whole.
        whole = catalog.layer("seeds") if any(each.layer == "seeds" for each in chosen) else ()
        wanted = {asset_key(each) for each in (*chosen, *whole)}
        wanted |= {landing_key(each.source, each.name) for each in chosen if each.layer == "raw"}
        return [key for key in keys if key in wanted]
    if job == PUBLISH:
        reached = {each.key for each in chosen}
        for each in chosen:
            reached |= catalog.descendants(each.key)
        others = {
            metric_key(name) for name, reads in catalog.metrics.items() if not reads & reached
        }
        return [key for key in keys if key not in others]
    return list(keys)


def _execute(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    keys: Sequence[dg.AssetKey],
    tags: dict[str, str],
) -> dg.ExecuteInProcessResult:
    return job.execute_in_process(
        instance=instance,
        asset_selection=list(keys),
        raise_on_error=False,
        tags=tags,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def _problems(result: dg.ExecuteInProcessResult) -> tuple[tuple[str, str], ...]:
    """Where, and what: each once."""
    found: list[tuple[str, str]] = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            if error is not None and error.cls_name == "DagsterAssetCheckFailedError":
                continue  # The gate has said which, and why.
            found.append((str(event.step_key), _message(error)))
        elif event.is_job_failure and event.job_failure_data.error is not None:
            # Before or after all steps: nobody else has said it.
            error = _root(event.job_failure_data.error)
            if error.cls_name == "DagsterAssetCheckFailedError":
                continue
            if error.cls_name == LockedError.__name__:
                raise LockedError(_message(error), remedy="`sluice status` names the writer.")
            said = _message(error)
            if not any(said in what for _, what in found):
                found.append((result.job_def.name, said))
    return tuple(found)


def _root(error: SerializableErrorInfo) -> SerializableErrorInfo:
    return error if error.cause is None else _root(error.cause)


def _message(error: SerializableErrorInfo | None) -> str:
    """The first line of what went wrong in the end, without the name of its class."""
    if error is None:
        return "failed"
    root = _root(error)
    line = root.message.strip().split("\n")[0]
    return line.partition(f"{root.cls_name}: ")[2] or line


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
    meant = ""
    if value and kind == "source":
        found = {each.key for each in catalog.layer("raw") if each.source == value}
        meant = did_you_mean(name, (f"source:{each.source}" for each in catalog.layer("raw")))
    elif value and kind == "layer":
        found = {each.key for each in catalog.layer(value)}
        meant = did_you_mean(name, (f"layer:{each}" for each in LAYERS))
    else:
        dataset = catalog.named(name)
        found = {dataset.key} if dataset is not None else set()
        meant = catalog.nearest(name)
    if not found:
        raise SettingsError(
            f"Nothing is called {name!r}.{meant}",
            remedy="Name a dataset (finance_mrr_daily), its lineage (+finance_mrr_daily, "
            "stg_crm__leads+), source:<name> or layer:<name>.",
        )
    wide = set(found)
    for key in found:
        wide |= catalog.ancestors(key) if upstream else set()
        wide |= catalog.descendants(key) if downstream else set()
    return wide
