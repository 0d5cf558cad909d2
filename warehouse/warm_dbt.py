"""What dbt does anew at each command, and need not in a process that stays warm.

Two of its functions are replaced for this process (docs/decisions/0056): dbt is locked, and a later
one without these places fails at the first command.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbt.graph.graph import Graph
    from dbt.task.build import BuildTask


@cache
def spare_dbt() -> None:
    """For every later command of this process."""
    from dbt.adapters.base import impl
    from dbt_common.behavior_flags import BehaviorFlagRendered

    assert callable(BehaviorFlagRendered._default_source)
    # Its adapter looks through the whole stack, twice, for who made it: for a message.
    BehaviorFlagRendered._default_source = staticmethod(lambda: impl.__name__)
    _link_once()


def _link_once() -> None:
    """The graph of a manifest is the same in each command that builds from it."""
    from dbt.task.build import BuildTask

    link = BuildTask.compile_manifest
    last: list[tuple[object, Graph]] = []

    def linked(task: BuildTask) -> None:
        for manifest, graph in last:
            if manifest is task.manifest:
                task.graph = graph
                return
        link(task)
        last[:] = [(task.manifest, task.graph)]

    BuildTask.compile_manifest = linked
