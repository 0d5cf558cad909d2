"""What dbt does anew at each command, and need not in a process that stays warm.

Where a later dbt no longer has these places, nothing is lost but the time.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from dbt.graph.graph import Graph
    from dbt.task.build import BuildTask


@cache
def spare_dbt() -> None:
    """For every later command of this process."""
    from dbt.adapters.base import impl
    from dbt_common.behavior_flags import Behavior, BehaviorFlagRendered

    # Its adapter looks through the whole stack, twice, for who made it: for a message.
    BehaviorFlagRendered._default_source = staticmethod(lambda: impl.__name__)  # type: ignore[method-assign]
    _link_once()


def _link_once() -> None:
    """The graph of a manifest is the same in each command that builds from it."""
    from dbt.task.build import BuildTask

    known: dict[int, tuple[object, Graph]] = {}
    link = BuildTask.compile_manifest

    def linked(task: BuildTask) -> None:
        found = known.get(id(task.manifest))
        if found is not None and found[0] is task.manifest:
            task.graph = found[1]
            return
        link(task)
        known.clear()
        known[id(task.manifest)] = (task.manifest, task.graph)

    BuildTask.compile_manifest = linked  # type: ignore[method-assign]
