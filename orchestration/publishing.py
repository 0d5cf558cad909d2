"""Publish: one new snapshot of every public table whose gates are open, in one switch."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing

import dagster as dg

from catalog import audiences
from catalog.catalog import Catalog
from catalog.leaks import KeptBack, kept_back
from orchestration.progress import say
from orchestration.retaining import retain
from orchestration.retrying import told
from orchestration.scope import is_due_only
from orchestration.specs import published_key, published_spec
from orchestration.telling import tell_people
from orchestration.unchanged import Unchanged, quietly, unchanged
from orchestration.writer import RETRIES, WRITER
from quality import downstream, gate
from quality.gate_state import GateState
from warehouse import backfills, publish
from warehouse.publish import PublicTable
from warehouse.published_already import shows_already
from warehouse.settings import settings
from warehouse.words import counted, some
from warehouse.workshop import connect

STEP = "publish"
NAMED = 4


def publish_step(catalog: Catalog) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=STEP,
        description="Copy what passed into a new immutable snapshot and switch consumers to it.",
        specs=[published_spec(each) for each in catalog.public()],
        required_resource_keys={WRITER},
        retry_policy=RETRIES,
    )
    @told(STEP)
    def switch(context: dg.AssetExecutionContext) -> Iterator[Unchanged]:
        leaking = kept_back(settings())
        states = gate.states(settings(), catalog.datasets)
        with closing(connect(settings())) as connection:
            held = backfills.held(connection)
        plan = downstream.publish_plan(catalog, states, leaking, held)
        said = told_of(leaking, states)
        for key, each in said.items():
            say(context, f"✗ publish: {key} is kept back: {each.reason}")
        plan = audiences.given(settings(), catalog, plan)
        if is_due_only(context) and shows_already(settings(), plan):
            say(context, "✓ publish: consumers see all of it already")
            _tell_outrun(context, plan)
            tell_people(lambda line: say(context, line))
            retain(settings(), catalog, lambda line: say(context, line))
            fresh = {each.name for each in plan if each.fresh}
            known = [each for each in catalog.public() if each.name in fresh]
            yield from unchanged(context, map(published_key, known))
            yield from _staying(catalog, fresh)
            _stop_if_any(said)
            return
        snapshot = publish.publish(settings(), plan, context.run_id)
        fresh = {each.name for each in snapshot.tables if each.state == "fresh"}
        stale = [each for each in snapshot.tables if each.state != "fresh"]
        note = f", {len(stale)} stay as they were" if stale else ""
        say(context, f"✓ publish: snapshot {snapshot.snapshot_id}, {len(fresh)} tables{note}")
        _tell_outrun(context, plan)
        tell_people(lambda line: say(context, line))
        retain(settings(), catalog, lambda line: say(context, line))
        rows = {each.name: each.row_count for each in snapshot.tables}
        for dataset in catalog.public():
            if dataset.name in fresh:
                yield dg.MaterializeResult(
                    asset_key=published_key(dataset),
                    metadata={
                        "snapshot": snapshot.snapshot_id,
                        "dagster/row_count": rows[dataset.name] or 0,
                    },
                )

        yield from _staying(catalog, fresh)
        _stop_if_any(said)

    return switch


def told_of(
    leaking: Mapping[str, KeptBack], states: Mapping[str, GateState]
) -> Mapping[str, KeptBack]:
    """Of SQL that dbt could not run nobody can follow the columns: its gate says why."""
    return {
        key: each
        for key, each in leaking.items()
        if key not in states
        or not states[key].reason.startswith(f"dbt: {key.rpartition('.')[2]} error:")
    }


def _staying(catalog: Catalog, fresh: Set[str]) -> Iterator[Unchanged]:
    """Tables that stay as they were: metrics that read others are asked all the same."""
    # What they were meant to become they have not: in the pages that stays to be seen (0058).
    return quietly(published_key(each) for each in catalog.public() if each.name not in fresh)


def _tell_outrun(context: dg.AssetExecutionContext, plan: Sequence[PublicTable]) -> None:
    """What a run of a selection leaves behind."""
    names = [each.name for each in plan if each.reason.startswith(downstream.OUTRUN)]
    if names:
        named = some(names, NAMED)
        say(context, f"    {downstream.OUTRUN}: {named}; `sluice run` builds what is due")


def _stop_if_any(leaking: Mapping[str, KeptBack]) -> None:
    if leaking:
        raise dg.Failure(
            f"Kept back: {counted(len(leaking), 'public dataset')}. `sluice check` shows the way "
            "to where each column comes from, and what to do.",
            allow_retries=False,
        )
