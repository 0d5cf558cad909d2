"""Landing → raw: one step per source, so that one source's trouble is not another's."""

from collections.abc import Iterator
from contextlib import closing

import dagster as dg

from catalog.catalog import Catalog
from ingestion.healing import heal_quarantine
from ingestion.load import load_source
from orchestration.branches import Branch
from orchestration.progress import say
from orchestration.retrying import told
from orchestration.scope import is_due_only
from orchestration.specs import asset_key, dataset_key, dataset_spec
from orchestration.unchanged import Unchanged, unchanged
from orchestration.watch import Watch
from orchestration.writer import RETRIES, WRITER
from quality import gate
from quality.evaluation import closed
from warehouse import builds
from warehouse.clock import last_day
from warehouse.settings import settings
from warehouse.words import counted, some
from warehouse.workshop import connect

NAMED = 3
"""So many files are named of those that were empty."""


def load_step(catalog: Catalog, branch: Branch, watch: Watch) -> dg.AssetsDefinition:
    (source,) = branch.sources

    @dg.multi_asset(
        name=f"load_{source}",
        description=f"Load what {source} sent since the last run: whole files or nothing.",
        specs=[dataset_spec(catalog, each) for each in branch.datasets],
        can_subset=True,
        required_resource_keys={WRITER},
        retry_policy=RETRIES,
        op_tags={"sluice/layer": "raw"},
    )
    @told(f"load {source}")
    def load(context: dg.AssetExecutionContext) -> Iterator[Unchanged]:
        chosen = {dataset_key(key) for key in context.selected_asset_keys}
        keys = [each.key for each in branch.datasets]
        if is_due_only(context) and not watch.look(keys).build:
            context.log.info(f"{source} has landed nothing new")
            yield from unchanged(context, context.selected_asset_keys)
            return
        at = gate.mark_pending(settings(), keys, context.run_id)
        with closing(connect(settings())) as connection:
            for healed in heal_quarantine(settings(), connection, source):
                say(context, f"✓ {healed}")
            result = load_source(settings(), connection, source)
            builds.note(connection, catalog.built(keys, at, last_day(settings())))
        if result.refused:
            # Nothing of a source is loaded while one of its files is refused: none of it is whole.
            reasons = [f"{each.file}: {each.reason.removesuffix('.')}" for each in result.refused]
            reason = f"{'; '.join(reasons)}."
            shut = [closed(each.key, "load", reason) for each in branch.datasets]
            gate.record(settings(), shut, context.run_id)
            say(context, f"✗ load {source}: {reason}")
            for each in result.refused:
                say(context, f"    → {each.remedy}")
            raise dg.Failure(
                reason,
                metadata={
                    each.file: dg.MetadataValue.text(f"{each.reason} → {each.remedy}")
                    for each in result.refused
                },
                allow_retries=False,
            )
        note = f", {result.quarantined:,} quarantined" if result.quarantined else ""
        came = f"{counted(result.files, 'file')}, {counted(result.rows, 'row')}"
        say(context, f"✓ load {source}: {came}{note}")
        if result.empty:
            say(
                context,
                f"    empty: {some(result.empty, NAMED)}; what should have been in it, have sent "
                "again under a new name",
            )
        if result.uncontracted:
            left = ", ".join(f"{source}/{each}" for each in result.uncontracted)
            say(context, f"    left alone, for no contract names it: {left}")
        for dataset in branch.datasets:
            if dataset.key not in chosen:
                continue
            loaded = result.entities.get(dataset.name)
            yield dg.MaterializeResult(
                asset_key=asset_key(dataset),
                metadata={
                    "dagster/row_count": loaded.rows if loaded else 0,
                    "files": loaded.files if loaded else 0,
                    "quarantined_rows": loaded.quarantined if loaded else 0,
                    "drift": dg.MetadataValue.json(list(loaded.drift) if loaded else []),
                },
            )

    return load
