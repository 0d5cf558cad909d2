"""Source → landing: one step per source that declares how it comes in, before it is loaded."""

from collections.abc import Iterator

import dagster as dg

from catalog.catalog import Catalog
from ingestion.connectors import fetching
from ingestion.connectors.declaration import Connector
from orchestration.progress import say
from orchestration.retrying import told
from orchestration.specs import landing_key, landing_spec
from orchestration.writer import RETRIES
from warehouse.settings import settings

CHECK = "connector"


def fetched_here() -> tuple[Connector, ...]:
    """The connectors that a run asks."""
    return tuple(fetching.asked(settings()).values())


def fetched_keys() -> list[dg.AssetKey]:
    return [landing_key(each.source, name) for each in fetched_here() for name in each.entities]


def fetch_step(catalog: Catalog, connector: Connector) -> dg.AssetsDefinition:
    source = connector.source
    keys = {landing_key(source, name): name for name in connector.entities}
    datasets = [catalog[f"raw.{source}.{name}"] for name in connector.entities]

    @dg.multi_asset(
        name=f"fetch_{source}",
        description=f"Ask {source} ({connector.kind}) what is new, and land it.",
        specs=[landing_spec(each, is_fetched=True) for each in datasets],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK, asset=key, description="Did the connector find something a person must see?"
            )
            for key in keys
        ],
        can_subset=True,
        retry_policy=RETRIES,
        op_tags={"sluice/layer": "landing"},
    )
    @told(f"fetch {source}")
    def fetch(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[None]]:
        fetched = fetching.fetch(settings(), source, lambda text: say(context, text))
        say(context, f"✓ fetch {fetched}")
        for note in fetched.notes:
            say(context, f"      {note}")
        for problem in fetched.problems:
            say(context, f"✗ fetch {source}: {problem}")
        chosen = context.selected_asset_keys
        checked = {key.asset_key for key in context.selected_asset_check_keys}
        for key, name in keys.items():
            if key not in chosen:
                continue
            found = fetched.entities.get(name)
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    "files": found.files if found else 0,
                    "rows": found.rows if found else 0,
                    "bytes": found.bytes if found else 0,
                    "notes": dg.MetadataValue.json(fetched.notes),
                },
                check_results=[
                    dg.AssetCheckResult(
                        asset_key=key,
                        check_name=CHECK,
                        passed=not fetched.problems,
                        metadata={"problems": dg.MetadataValue.json(fetched.problems)},
                    )
                ]
                if key in checked
                else [],
            )

    return fetch
