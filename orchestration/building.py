"""staging, curated, marts: one warm dbt call per step, on what the gates let through."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime

import dagster as dg

from catalog.catalog import Catalog, Dataset
from catalog.leaks import suspected
from orchestration.branches import Branch
from orchestration.dbt_tests import DataTest
from orchestration.progress import say
from orchestration.retrying import told
from orchestration.run_log import log_models
from orchestration.scope import BACKFILL, is_due_only
from orchestration.specs import asset_key, dataset_key, dataset_spec
from orchestration.unchanged import Unchanged, unchanged
from orchestration.watch import Watch
from orchestration.writer import RETRIES, WRITER
from quality import downstream, gate
from quality.due import Due
from quality.evaluate import evaluate
from quality.evaluation import Evaluation, closed
from quality.holes import ask_for_holes, log_filled
from warehouse import backfills, builds, dbt
from warehouse.clock import last_day, wall_clock
from warehouse.crash_points import crash_point
from warehouse.settings import settings
from warehouse.workshop import connect

Event = Unchanged | dg.AssetCheckResult

GOOD = ("success", "pass", "warn")


def seeds_step(catalog: Catalog, seeds: Sequence[Dataset], watch: Watch) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="seeds",
        description="Small reference data that lives in the repository.",
        specs=[dataset_spec(catalog, each) for each in seeds],
        required_resource_keys={WRITER},
        retry_policy=RETRIES,
    )
    @told("seeds")
    def load_seeds(context: dg.AssetExecutionContext) -> Iterator[Event]:
        keys = [each.key for each in seeds]
        wanted = sorted(watch.look(keys).build if is_due_only(context) else keys)
        rest = sorted(set(keys) - set(wanted))
        yield from unchanged(context, [asset_key(catalog[key]) for key in rest])
        if not wanted:
            context.log.info("no seed has changed")
            return
        at = wall_clock()
        names = [catalog[key].name for key in wanted]
        outcome = dbt.run(settings(), ["seed", "--select", *names])
        _stop_unless_run(context, outcome, "seeds")
        _note(catalog, outcome, at)
        by_id = {each.unique_id: each for each in seeds}
        for node in outcome.nodes:
            if node.status == "success" and node.unique_id in by_id:
                yield dg.MaterializeResult(asset_key=asset_key(by_id[node.unique_id]))
        _stop_if_bad(context, outcome, "seeds")

    return load_seeds


def build_step(
    catalog: Catalog, branch: Branch, tests: Sequence[DataTest], watch: Watch
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=branch.name,
        description=f"Build {branch.layer} from {', '.join(branch.sources) or 'reference data'}.",
        specs=[dataset_spec(catalog, each) for each in branch.datasets],
        check_specs=[each.spec for each in tests],
        can_subset=True,
        required_resource_keys={WRITER},
        retry_policy=RETRIES,
        op_tags={"sluice/layer": branch.layer},
    )
    @told(branch.name)
    def build(context: dg.AssetExecutionContext) -> Iterator[Event]:
        chosen = [dataset_key(key) for key in context.selected_asset_keys]
        found = watch.look(chosen) if is_due_only(context) else Due(dict.fromkeys(chosen, ""), {})
        as_it_was = [key for key in catalog.in_order(chosen) if key not in found.build]
        for key, why in found.build.items():
            context.log.info(f"{key}: {why}")
        with closing(connect(settings())) as connection:
            held = backfills.held(connection, but=context.run.tags.get(BACKFILL, ""))
        buildable, withheld = downstream.buildable(
            catalog, gate.states(settings(), catalog.datasets), found.build, held
        )
        wanted = [each for each in tests if each.dataset.key in {*buildable, *found.judge}]
        if buildable or wanted:
            at = gate.mark_pending(settings(), buildable, context.run_id)
            crash_point("build.marked")
            with closing(connect(settings())) as connection:
                holes = ask_for_holes(catalog, connection, buildable)
            outcome = dbt.build(
                settings(),
                [
                    *(catalog[key].unique_id for key in sorted(buildable)),
                    *(each.unique_id for each in wanted),
                ],
            )
            crash_point("build.built")
            _stop_unless_run(context, outcome, branch.name)
            _note(catalog, outcome, at)
            log_models(settings(), catalog, outcome.nodes, context.run_id)
            if holes:
                with closing(connect(settings())) as connection:
                    for hole in log_filled(settings(), catalog, connection, holes):
                        say(context, f"✓ healed {hole.key}: {hole}; built anew")
            yield from _events(context, catalog, outcome, tests, as_it_was)
            if not outcome.success:
                _judge(catalog, outcome, tests, buildable, context.run_id)
            _report(context, branch, outcome, len(chosen) - len(found.build))
            _stop_if_bad(context, outcome, branch.name)
        else:
            yield from unchanged(context, [asset_key(catalog[key]) for key in as_it_was])
        if withheld:
            why = "; ".join(f"{key}: {reason}" for key, reason in sorted(withheld.items()))
            text = f"{branch.name}: {len(withheld)} withheld ({why})"
            say(context, f"✗ {text}")
            raise dg.Failure(text, allow_retries=False)

    return build


def _events(
    context: dg.AssetExecutionContext,
    catalog: Catalog,
    outcome: dbt.Outcome,
    tests: Sequence[DataTest],
    as_it_was: Sequence[str],
) -> Iterator[Event]:
    by_id = {each.unique_id: each for each in tests}
    wanted = context.selected_asset_check_keys
    found: dict[str, list[Unchanged]] = {}
    for event in unchanged(context, [asset_key(catalog[key]) for key in as_it_was]):
        if event.asset_key is not None:
            found.setdefault(dataset_key(event.asset_key), []).append(event)
    for node in outcome.nodes:
        key = catalog.keys_by_unique_id.get(node.unique_id)
        if key is not None and node.status == "success":
            metadata: dict[str, float | int] = {"seconds": round(node.seconds, 3)}
            if node.rows is not None:
                metadata["dagster/row_count"] = node.rows
            built: Unchanged = dg.MaterializeResult(
                asset_key=asset_key(catalog[key]), metadata=metadata
            )
            found[key] = [built]
    # Dagster wants to hear of a dataset after those that it reads.
    for key in catalog.in_order(found):
        yield from found[key]
    for node in outcome.nodes:
        test = by_id.get(node.unique_id)
        if test is not None and node.status != "skipped" and test.spec.key in wanted:
            yield dg.AssetCheckResult(
                asset_key=test.spec.asset_key,
                check_name=test.name,
                passed=node.status == "pass",
                severity=dg.AssetCheckSeverity.WARN
                if node.status == "warn"
                else dg.AssetCheckSeverity.ERROR,
                metadata={"failures": node.failures, "message": node.message or "passed"},
            )


def _judge(
    catalog: Catalog,
    outcome: dbt.Outcome,
    tests: Sequence[DataTest],
    built: Sequence[str],
    run_id: str,
) -> None:
    """After a failure no gate step follows: close what failed, evaluate the rest here."""
    dataset_of = {each.unique_id: each.dataset.key for each in tests}
    verdicts: dict[str, Evaluation] = {}
    for node in outcome.nodes:
        key = catalog.keys_by_unique_id.get(node.unique_id) or dataset_of.get(node.unique_id)
        if key is not None and node.status not in (*GOOD, "skipped"):
            name = node.unique_id.split(".")[2]
            verdicts[key] = closed(key, "dbt", f"{name} {node.status}: {node.message}")
    rest = [key for key in built if key not in verdicts]
    with closing(connect(settings())) as connection:
        evaluations = evaluate(
            settings(), catalog, connection, rest, kept_back=suspected(settings())
        )
    gate.record(settings(), [*verdicts.values(), *evaluations], run_id)


def _note(catalog: Catalog, outcome: dbt.Outcome, at: datetime) -> None:
    """Remember in the workshop what was built, and from which definition."""
    built = [
        key
        for node in outcome.nodes
        if node.status == "success"
        and (key := catalog.keys_by_unique_id.get(node.unique_id)) is not None
    ]
    if built:
        with closing(connect(settings())) as connection:
            builds.note(connection, catalog.built(built, at, last_day(settings())))


def _report(
    context: dg.AssetExecutionContext, branch: Branch, outcome: dbt.Outcome, not_due: int
) -> None:
    models = [each for each in outcome.nodes if each.unique_id.startswith("model.")]
    checked = [each for each in outcome.nodes if each.unique_id.startswith("test.")]
    good = sum(each.status == "success" for each in models)
    passed = sum(each.status in GOOD for each in checked)
    sign = "✓" if outcome.success else "✗"
    say(
        context,
        f"{sign} {branch.name}: {good}/{len(models)} models, {passed}/{len(checked)} tests"
        + (f", {not_due} not due" if not_due else ""),
    )


def _stop_unless_run(context: dg.AssetExecutionContext, outcome: dbt.Outcome, name: str) -> None:
    if outcome.error and not outcome.nodes:
        raise RuntimeError(f"dbt stopped before it built anything of {name}: {outcome.error}")


def _stop_if_bad(context: dg.AssetExecutionContext, outcome: dbt.Outcome, name: str) -> None:
    if not outcome.success:
        bad = [each for each in outcome.nodes if each.status not in (*GOOD, "skipped")]
        text = "; ".join(f"{each.unique_id.split('.')[2]}: {each.message}" for each in bad[:5])
        say(context, f"✗ {name}: {text or outcome.error}")
        raise dg.Failure(f"{name}: {text or outcome.error}", allow_retries=False)
