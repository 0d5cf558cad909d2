"""What a run of everything is for, found out before anything heavy is started.

Where nothing is due, Dagster and dbt are not even imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from uuid import uuid4

from catalog.catalog import LAYERS, Catalog
from catalog.leaks import kept_back
from ingestion.ledger import SCHEMA
from ingestion.load import pending
from orchestration.deploys import note_deploy
from orchestration.run_log import log_idle
from orchestration.watch import Watch
from quality import downstream, gate
from quality.due import FOLLOWS, Due, Facts, candidates, due
from warehouse import backfills
from warehouse.clock import wall_clock
from warehouse.connection import NO_SUCH_TABLE, Connection
from warehouse.errors import LockedError
from warehouse.platform_log import PLATFORM
from warehouse.published_already import shows_already
from warehouse.settings import settings
from warehouse.workshop import connect, is_begun, writing

# What people say, and what a later run should not have to wait for.
FACTS = f"{PLATFORM}/incidents/"
NAMED = 3


@dataclass(frozen=True)
class Plan:
    """`candidates` may turn out not to be due: what they read may be built with the same rows."""

    found: Due
    candidates: frozenset[str]
    total: int
    run_id: str = ""
    """Of a run that has nothing to build, and is logged already."""
    is_to_report: bool = True
    is_to_publish: bool = True

    @property
    def is_idle(self) -> bool:
        return not self.candidates

    def __str__(self) -> str:
        total = f"the company's {self.total} datasets"
        if self.is_idle:
            return f"✓ 0 of {total} are due: nothing has come, nothing has changed"
        groups = self._by_reason()
        causes = [each for each in groups.items() if not each[0][1].endswith(FOLLOWS)][:NAMED]
        first = [f"{_named(keys)}: {why}" for (_, why), keys in causes]
        due = sum(map(len, groups.values()))
        rest = due - sum(len(keys) for _, keys in causes)
        told = "; ".join([*first, *([f"{rest} more"] if rest else [])])
        follow = len(self.candidates) - due
        beside = f"; {follow} that read them may follow" if follow else ""
        return f"{due} of {total} are due ({told}){beside}"

    def _by_reason(self) -> Mapping[tuple[str, str], Sequence[str]]:
        """What a source has landed is loaded for all of its entities: that is one reason."""
        found: dict[tuple[str, str], list[str]] = {}
        reasons = sorted(self.found.reasons, key=lambda each: LAYERS.index(each[0].split(".")[0]))
        for key, why in reasons:
            found.setdefault((_of_source(key), why), []).append(key)
        return found


def _named(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else _of_source(keys[0])


def _of_source(key: str) -> str:
    return key.rpartition(".")[0] if key.startswith("raw.") else key


def plan(catalog: Catalog, job: str, waiting: Callable[[str], None]) -> Plan | None:
    """None where nobody can say yet: all of it is to be done then."""
    if not is_begun(settings()):
        return None
    watch = Watch(catalog)
    with writing(settings(), "sluice run", waiting=waiting):
        try:
            connection = connect(settings())
        except LockedError:
            return None
        with closing(connection):
            facts = watch.facts(connection, catalog.datasets)
            found = due(catalog, facts, watch.company)
            wanted = candidates(catalog, facts, watch.company, found)
            if wanted:
                return Plan(found, wanted, len(watch.company))
            held = backfills.held(connection)
            is_to_report = _is_to_report(connection) or _is_left_over(catalog, facts)
        run_id = str(uuid4())
        is_new = note_deploy(settings(), catalog) is not None
        watch.confirm(run_id, facts)
        log_idle(settings(), run_id, job)
        tables = downstream.publish_plan(
            catalog, gate.states(settings(), catalog.datasets), kept_back(settings()), held
        )
        return Plan(
            found,
            wanted,
            len(watch.company),
            run_id,
            is_to_report or is_new,
            not shows_already(settings(), tables),
        )


def _is_to_report(connection: Connection) -> bool:
    """Without news once a day, and where people have said something."""
    said = pending(settings(), connection, {PLATFORM})[PLATFORM]
    return _last_report(connection) != wall_clock().date() or any(
        path.startswith(FACTS) for path in said
    )


def _is_left_over(catalog: Catalog, facts: Facts) -> bool:
    """Did a report leave something undone? News alone, which every run makes, can wait."""
    about_platform = [key for key, each in catalog.datasets.items() if each.is_about_platform]
    return bool(due(catalog, replace(facts, waiting={}), about_platform))


def _last_report(connection: Connection) -> date | None:
    try:
        [[last]] = connection.execute(
            f"select max(loaded_at) from {SCHEMA}.batches where source = ?", [PLATFORM]
        ).fetchall()
    except NO_SUCH_TABLE:
        return None
    return last.date() if last is not None else None
