"""A run of a selection can leave a dataset older than what it reads: the snapshot says so."""

from __future__ import annotations

from gated_company import FACTS, PAYMENTS, REVENUE, STAGED

from catalog.catalog import Catalog
from quality import downstream, gate
from quality.evaluation import CheckResult, Evaluation
from warehouse.publish import PublicTable
from warehouse.settings import Settings

pytest_plugins = ["gated_company"]

GOOD = CheckResult("row_count", "row_count", "rows", "pass", 1.0, "must be more than 0")


def judge(settings: Settings, run_id: str, *keys: str, batch: int | None = None) -> None:
    """Built and judged in one step, its rows others than in any run before."""
    gate.mark_pending(settings, keys, run_id)
    evaluations = [
        Evaluation(key, (GOOD,), position=batch)
        if key == PAYMENTS
        else Evaluation(key, (GOOD,), content=f"the rows of {run_id}")
        for key in keys
    ]
    gate.record(settings, evaluations, run_id)


def revenue(settings: Settings, catalog: Catalog) -> PublicTable:
    states = gate.states(settings, catalog.datasets)
    return {each.name: each for each in downstream.publish_plan(catalog, states, {})}[
        "finance_revenue"
    ]


def test_a_run_of_everything_leaves_nothing_older(
    settings_here: Settings, catalog: Catalog
) -> None:
    for run, batch in (("run-1", 1), ("run-2", 2)):
        for key in (PAYMENTS, STAGED, FACTS, REVENUE):
            judge(settings_here, run, key, batch=batch)
        assert revenue(settings_here, catalog).fresh
        assert revenue(settings_here, catalog).build == run
    # Built in one step, they are judged at one moment.
    judge(settings_here, "run-3", STAGED, FACTS, REVENUE)
    assert revenue(settings_here, catalog).fresh


def test_what_reads_a_rebuilt_dataset_stays_as_it_was_until_it_is_built_too(
    settings_here: Settings, catalog: Catalog
) -> None:
    for key in (PAYMENTS, STAGED, FACTS, REVENUE):
        judge(settings_here, "run-1", key, batch=1)
    judge(settings_here, "run-2", STAGED)
    judge(settings_here, "run-2", FACTS)
    found = revenue(settings_here, catalog)
    states = gate.states(settings_here, catalog.datasets)
    assert not found.fresh
    # What the facts read is in them.
    changed = states[FACTS].changed_at
    when = f"changed {changed:%Y-%m-%d %H:%M} UTC"
    assert found.reason == f"older than what it reads: {FACTS} ({when})"
    assert found.since == changed
    judge(settings_here, "run-3", REVENUE)
    assert revenue(settings_here, catalog).fresh


def test_what_was_built_since_with_the_same_rows_is_not_named(
    settings_here: Settings, catalog: Catalog
) -> None:
    for key in (PAYMENTS, STAGED, FACTS, REVENUE):
        judge(settings_here, "run-1", key, batch=1)
    judge(settings_here, "run-2", PAYMENTS, batch=2)
    judge(settings_here, "run-2", STAGED)
    gate.mark_pending(settings_here, [FACTS], "run-2")
    same = Evaluation(FACTS, (GOOD,), content="the rows of run-1")
    gate.record(settings_here, [same], "run-2")
    assert revenue(settings_here, catalog).fresh
    judge(settings_here, "run-3", PAYMENTS, batch=3)
    reason = revenue(settings_here, catalog).reason
    assert PAYMENTS in reason and STAGED not in reason


def test_a_source_makes_what_reads_it_older_by_new_rows_only(
    settings_here: Settings, catalog: Catalog
) -> None:
    for key in (PAYMENTS, STAGED, FACTS, REVENUE):
        judge(settings_here, "run-1", key, batch=1)
    judge(settings_here, "run-2", PAYMENTS, batch=1)
    assert revenue(settings_here, catalog).fresh
    judge(settings_here, "run-3", PAYMENTS, batch=2)
    assert PAYMENTS in revenue(settings_here, catalog).reason
