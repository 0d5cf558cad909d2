"""The gates: after each layer, what was agreed is checked; what fails shuts what is downstream."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import dagster as dg

from catalog.catalog import Catalog
from catalog.leaks import suspected
from orchestration.branches import Branch
from orchestration.progress import say
from orchestration.retrying import told
from orchestration.scope import is_due_only
from orchestration.specs import asset_key, dataset_key
from orchestration.watch import Watch
from orchestration.writer import RETRIES, WRITER
from quality import gate
from quality.evaluate import evaluate
from quality.evaluation import CheckResult, Evaluation, shown
from warehouse.settings import settings
from warehouse.words import counted
from warehouse.workshop import connect

CHECK = "gate"


def gate_step(catalog: Catalog, branch: Branch, watch: Watch) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"gate_{branch.name}",
        description="Soda checks of these datasets; anything but a pass or a warning shuts.",
        specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=asset_key(each),
                blocking=True,
                # Checks compare with reference data, which is loaded in the same run.
                additional_deps=[asset_key(seed) for seed in catalog.layer("seeds")],
                description=f"Everything declared in quality/checks for {each.key}.",
            )
            for each in branch.datasets
        ],
        can_subset=True,
        required_resource_keys={WRITER},
        retry_policy=RETRIES,
        op_tags={"sluice/layer": branch.layer},
    )
    @told(f"gate {branch.name}")
    def shut_or_open(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        chosen = [dataset_key(check.asset_key) for check in context.selected_asset_check_keys]
        wanted = sorted(_to_be_judged(watch, chosen) if is_due_only(context) else chosen)
        if not wanted:
            context.log.info(f"gate {branch.name}: nothing to be judged again")
            return
        with closing(connect(settings())) as connection:
            evaluations = evaluate(
                settings(), catalog, connection, wanted, kept_back=suspected(settings())
            )
        gate.record(settings(), evaluations, context.run.run_id)
        shut = [each for each in evaluations if not each.is_open]
        sign = "✗" if shut else "✓"
        count = sum(len(each.checks) for each in evaluations)
        checks, datasets = counted(count, "check"), counted(len(evaluations), "dataset")
        say(context, f"{sign} gate {branch.name}: {checks} on {datasets}")
        for each in shut:
            say(context, f"    shut: {each.key}: {each.reason}")
        for each in evaluations:
            yield dg.AssetCheckResult(
                asset_key=asset_key(catalog[each.key]),
                check_name=CHECK,
                passed=each.is_open,
                # A publish leaves the table behind; who reads it inside may read it.
                severity=dg.AssetCheckSeverity.WARN
                if each.kind == "called_too_little"
                else dg.AssetCheckSeverity.ERROR,
                description=each.reason or None,
                metadata=explanation(each),
            )

    return shut_or_open


def _to_be_judged(watch: Watch, keys: Sequence[str]) -> set[str]:
    """What was just loaded or built, what is not open, and what might be judged otherwise now,
    also because it is held against one of those.
    """
    states = gate.states(settings(), keys)
    shut = {key for key, state in states.items() if not state.is_plainly_open}
    return (shut | watch.look(keys).judge.keys()) - watch.held()


def explanation(evaluation: Evaluation) -> dict[str, dg.MetadataValue]:
    """Every check with its value and what was expected; why it shut; some of the rows."""
    found: dict[str, dg.MetadataValue] = {"checks": _table([_row(x) for x in evaluation.checks])}
    told = [*evaluation.failing, *evaluation.warning, *evaluation.observed]
    if told:
        found["why"] = dg.MetadataValue.md("\n".join(f"- **{x.name}**: {_why(x)}" for x in told))
    for check in told:
        if check.sample:
            found[f"rows: {check.name}"] = _table(check.sample)
    return found


def _row(check: CheckResult) -> dict[str, str | None]:
    return {
        "check": check.name,
        "outcome": f"{check.outcome} (on trial)" if check.is_observed else check.outcome,
        "value": "" if check.value is None else shown(check.value),
        "expected": check.threshold,
        "before and now": check.plot,
        "says": check.message,
    }


def _why(check: CheckResult) -> str:
    trial = " (on trial: it does not shut)" if check.is_observed else ""
    return f"{check.message or check.outcome}{trial}"


def _table(rows: Sequence[Mapping[str, str | None]]) -> dg.TableMetadataValue:
    columns = list(rows[0]) if rows else []
    return dg.MetadataValue.table(
        [dg.TableRecord({name: row.get(name) or "" for name in columns}) for row in rows],
        schema=dg.TableSchema.from_name_type_dict({name: "string" for name in columns}),
    )
