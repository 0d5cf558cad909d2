"""The gates: after each layer, what was agreed is checked; what fails shuts what is downstream."""

from collections.abc import Iterator
from contextlib import closing

import dagster as dg

from catalog.catalog import Catalog
from orchestration.branches import Branch
from orchestration.progress import say
from orchestration.retrying import told
from orchestration.specs import asset_key, dataset_key
from orchestration.writer import RETRIES, WRITER
from quality import gate
from quality.evaluate import evaluate
from warehouse.settings import settings
from warehouse.workshop import connect

CHECK = "gate"


def gate_step(catalog: Catalog, branch: Branch) -> dg.AssetChecksDefinition:
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
        with closing(connect(settings())) as connection:
            evaluations = evaluate(settings(), catalog, connection, sorted(chosen))
        gate.record(settings(), evaluations, context.run.run_id)
        shut = [each for each in evaluations if not each.is_open]
        sign = "✗" if shut else "✓"
        count = sum(len(each.checks) for each in evaluations)
        say(context, f"{sign} gate {branch.name}: {count} checks on {len(evaluations)} datasets")
        for each in shut:
            say(context, f"    shut: {each.key}: {each.reason}")
        for each in evaluations:
            yield dg.AssetCheckResult(
                asset_key=asset_key(catalog[each.key]),
                check_name=CHECK,
                passed=each.is_open,
                description=each.reason or None,
                metadata={
                    "checks": dg.MetadataValue.table(
                        [
                            dg.TableRecord(
                                {
                                    "check": one.name,
                                    "outcome": one.outcome,
                                    "value": "" if one.value is None else str(one.value),
                                    "expected": one.threshold,
                                }
                            )
                            for one in each.checks
                        ],
                        schema=dg.TableSchema.from_name_type_dict(
                            {
                                "check": "string",
                                "outcome": "string",
                                "value": "string",
                                "expected": "string",
                            }
                        ),
                    )
                },
            )

    return shut_or_open
