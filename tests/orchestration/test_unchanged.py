"""What a run leaves as it was is shown as it was, whatever became of the runs before."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.unchanged import Unchanged, unchanged

BUILT, BROKEN, MENDED = "built", "broken", "mended"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


def run(instance: dg.DagsterInstance, how: str) -> dg.ExecuteInProcessResult:
    """A source, and a mart that reads it: built, not reached, not due."""

    @dg.asset
    def source() -> None:
        if how == BROKEN:
            raise dg.Failure("its gate is shut", allow_retries=False)

    @dg.multi_asset(specs=[dg.AssetSpec("mart", deps=["source"])])
    def marts(context: dg.AssetExecutionContext) -> Iterator[Unchanged]:
        if how == MENDED:
            yield from unchanged(context, [dg.AssetKey("mart")])
        else:
            yield dg.MaterializeResult(asset_key="mart")

    return dg.materialize([source, marts], instance=instance, raise_on_error=False)


def intended(instance: dg.DagsterInstance) -> set[str]:
    """The runs that Dagster's pages take the newest of: is it a failed one, the mart is red."""
    wanted = dg.EventRecordsFilter(
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, asset_key=dg.AssetKey("mart")
    )
    return {each.run_id for each in instance.get_event_records(wanted)}


def test_what_a_failed_run_did_not_reach_is_as_it_was_once_a_run_has_looked(
    instance: dg.DagsterInstance,
) -> None:
    built = run(instance, BUILT).run_id
    broken = run(instance, BROKEN)
    assert not broken.success and intended(instance) == {built, broken.run_id}
    assert run(instance, MENDED).success
    assert intended(instance) == {built}
    # Nobody has looked at the mart since: it is red.
    again = run(instance, BROKEN).run_id
    assert intended(instance) == {built, again}
