"""What of the catalog's datasets is due, whenever somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

from catalog.catalog import Catalog
from catalog.leaks import suspected
from orchestration.branches import branches
from orchestration.dbt_tests import data_tests
from quality import gate
from quality.due import Due, Facts, due, holding
from quality.facts import gather
from warehouse import backfills
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.settings import settings
from warehouse.workshop import connect


@dataclass(frozen=True)
class Watch:
    catalog: Catalog

    @cached_property
    def tested_with(self) -> Mapping[str, frozenset[str]]:
        """By dataset, what the dbt tests that are shown at it read."""
        found: dict[str, set[str]] = {}
        for test in data_tests(self.catalog, branches(self.catalog)):
            found.setdefault(test.dataset.key, set()).update(test.reads)
        return {key: frozenset(reads) for key, reads in found.items()}

    @property
    def company(self) -> tuple[str, ...]:
        """All but what the platform knows about itself, which is reported after a run."""
        return tuple(
            key for key, each in self.catalog.datasets.items() if not each.is_about_platform
        )

    def facts(self, connection: Connection, keys: Iterable[str]) -> Facts:
        return gather(
            settings(),
            self.catalog,
            connection,
            keys,
            tested_with=self.tested_with,
            kept_back=suspected(settings()),
        )

    def look(self, keys: Iterable[str]) -> Due:
        wanted = sorted(keys)
        if not wanted:
            return Due({}, {})
        return due(self.catalog, self._facts(wanted), wanted)

    def _facts(self, keys: Iterable[str]) -> Facts:
        with closing(connect(settings())) as connection:
            return self.facts(connection, keys)

    def held(self) -> frozenset[str]:
        """What a backfill has begun to change."""
        with closing(connect(settings())) as connection:
            return frozenset(backfills.held(connection))

    def confirm(self, run_id: str, known: Facts | None = None) -> None:
        """At a run's end: what had nothing due still holds, which its service level counts on.

        Facts that are `known` are of this moment: nothing was built since.
        """
        keys = self.company
        facts = known or self._facts(keys)
        found = due(self.catalog, facts, keys)
        gate.confirm(settings(), holding(self.catalog, facts, keys, found, wall_clock()), run_id)
