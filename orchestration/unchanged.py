"""What a run found not to be due, as Dagster's pages show it: looked at, and as it was.

It is not materialized again, so that the page shows when it was built and the last verdict of each
of its checks. Dagster skips what reads an asset that says nothing, and shows an asset as failed
that a failed run had intended to build: so its output is given all the same, and the intention
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.storage.event_log.schema import AssetKeyTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy import delete, func, select, update

LOOKED_AT: Final[Mapping[str, bool]] = {"sluice/unchanged": True}
# Dagster's word for an output that is an asset's, and no event of its own.
QUIETLY: Final = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
BROKEN_OFF: Final = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
INTENDED: Final = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value

Unchanged = dg.AssetObservation | dg.MaterializeResult[None]


def unchanged(
    context: dg.AssetExecutionContext, keys: Iterable[dg.AssetKey]
) -> Iterator[Unchanged]:
    """What a step says of those of its assets that it leaves as they were."""
    wanted = list(keys)
    for key in wanted:
        yield dg.AssetObservation(key, metadata=LOOKED_AT)
    forget_intentions(context.instance, context.run_id, wanted)
    yield from quietly(wanted)


def quietly(keys: Iterable[dg.AssetKey]) -> Iterator[dg.MaterializeResult[None]]:
    """Nothing is said of it but that it is there: what reads it decides for itself."""
    for key in keys:
        yield dg.MaterializeResult(asset_key=key, metadata=QUIETLY)


def forget_intentions(
    instance: dg.DagsterInstance, run_id: str, keys: Iterable[dg.AssetKey]
) -> None:
    """A run intends to build all that it was started for; of those that ended before and did not
    come so far, what they intended is no news any more.
    """
    storage = instance.event_log_storage
    names = [key.to_string() for key in keys]
    if not isinstance(storage, SqlEventLogStorage) or not names:
        return
    event, asset = SqlEventLogStorageTable.c, AssetKeyTable.c
    built = (
        select(event.run_id)
        .where(event.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
        .where(event.asset_key == asset.asset_key)
        .order_by(event.id.desc())
        .limit(1)
    )
    earlier = SqlEventLogStorageTable.alias().c
    last_built = (
        select(func.coalesce(func.max(earlier.id), 0))
        .where(earlier.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
        .where(earlier.asset_key == event.asset_key)
    )
    others = (
        select(event.run_id)
        .distinct()
        .where(event.dagster_event_type == INTENDED)
        .where(event.asset_key.in_(names))
        .where(event.run_id != run_id)
        .where(event.id > last_built.scalar_subquery())
    )
    with storage.index_connection() as connection:
        runs = [row[0] for row in connection.execute(others)]
    ended = instance.get_runs(dg.RunsFilter(run_ids=runs, statuses=BROKEN_OFF)) if runs else []
    with storage.index_connection() as connection:
        connection.execute(
            delete(SqlEventLogStorageTable)
            .where(event.run_id.in_([run_id, *(each.run_id for each in ended)]))
            .where(event.dagster_event_type == INTENDED)
            .where(event.asset_key.in_(names))
        )
        connection.execute(
            update(AssetKeyTable)
            .where(asset.asset_key.in_(names))
            .values(last_run_id=built.scalar_subquery())
        )
