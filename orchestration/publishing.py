"""Publish: one new snapshot of every public table whose gates are open, in one switch."""

from collections.abc import Iterator

import dagster as dg

from catalog import audiences
from catalog.catalog import Catalog
from orchestration.progress import say
from orchestration.retrying import told
from orchestration.specs import published_key, published_spec
from orchestration.writer import RETRIES, WRITER
from quality import downstream, gate
from serving import budgets
from serving.notifications import notify
from warehouse import publish
from warehouse.errors import SluiceError
from warehouse.settings import settings

STEP = "publish"


def publish_step(catalog: Catalog) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=STEP,
        description="Copy what passed into a new immutable snapshot and switch consumers to it.",
        specs=[published_spec(each) for each in catalog.public()],
        required_resource_keys={WRITER},
        retry_policy=RETRIES,
    )
    @told(STEP)
    def switch(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        plan = downstream.publish_plan(catalog, gate.states(settings(), catalog.datasets))
        plan = audiences.given(settings(), catalog, plan)
        snapshot = publish.publish(settings(), plan, context.run_id)
        fresh = {each.name for each in snapshot.tables if each.state == "fresh"}
        stale = [each for each in snapshot.tables if each.state != "fresh"]
        note = f", {len(stale)} stay as they were" if stale else ""
        say(context, f"✓ publish: snapshot {snapshot.snapshot_id}, {len(fresh)} tables{note}")
        _tell(context)
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

    return switch


def _tell(context: dg.AssetExecutionContext) -> None:
    """What the new snapshot knows of incidents and promises, to those who are to know it."""
    try:
        budgets.export(settings())
        for line in notify(settings()).lines:
            say(context, line)
    except SluiceError as error:
        # The snapshot is out; what went wrong with telling of it must not make it look otherwise.
        say(context, f"✗ nobody was told: {error}")
