"""Our own declared checks of a dataset: what it measures is asked in shared scans, then judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from catalog.catalog import Catalog, Dataset
from quality import over_time, reconciliation
from quality.check_file import CheckFile, DeclaredCheck
from quality.evaluation import CheckResult
from quality.history import CheckKey, Past
from quality.measuring import Measured, Request, is_by_arrival, measure
from quality.own_checks import Batches, quarantine_check
from warehouse.connection import Connection

OVER_TIME = ("change_over_time", "anomaly")


@dataclass(frozen=True)
class Subject:
    """A dataset with its file, and which rows of it are due."""

    dataset: Dataset
    file: CheckFile
    batches: Batches | None = None

    @property
    def filters(self) -> tuple[str, ...]:
        return (self.file.filter,) if self.file.filter else ()

    @property
    def due(self) -> tuple[str, ...]:
        """Of a source only the batches that are due."""
        after = self.batches.after if self.batches is not None else -1
        return (*self.filters, f"_batch_id > {after}") if after >= 0 else self.filters

    def variables(self, now: datetime) -> dict[str, str]:
        after = self.batches.after if self.batches is not None else -1
        return {"var.AS_OF": now.isoformat(), "var.AFTER_BATCH": str(after)}


def remembered(files: Iterable[CheckFile]) -> list[CheckKey]:
    """Checks whose earlier values are in the gate's events."""
    return [
        (file.key, check.check_id)
        for file in files
        for check in file.checks
        if check.type in OVER_TIME
    ]


def answers(
    connection: Connection,
    catalog: Catalog,
    subject: Subject,
    pasts: Mapping[CheckKey, Past],
    now: datetime,
) -> list[CheckResult]:
    dataset, variables, today = subject.dataset, subject.variables(now), now.date()
    checks = [each for each in subject.file.checks if not each.by_soda]
    timed = [each for each in checks if each.type in OVER_TIME]
    totals = [each for each in checks if each.type == "reconciliation" and "by" not in each.body]
    requests = [
        over_time.request(
            each,
            _past(pasts, subject, each),
            subject.filters if each.body.get("by_day") else subject.due,
            today,
        )
        for each in timed
        if not is_by_arrival(each)
    ]
    requests += [reconciliation.here(each, subject.due) for each in totals]
    ours = measure(connection, dataset.relation, _filled(requests, variables))
    theirs = _theirs(connection, catalog, totals, variables)
    found: list[CheckResult] = []
    for check in checks:
        at = check.check_id
        if check.type in OVER_TIME:
            past = _past(pasts, subject, check)
            measured = _arrivals(subject) if is_by_arrival(check) else ours[at]
            found.append(over_time.judge(check, past, measured, today))
        elif check.type == "quarantined" and subject.batches is not None:
            found.append(quarantine_check(check, subject.batches))
        elif check.type == "reconciliation" and "by" in check.body:
            other = catalog[check.body["with"]]
            found.append(
                reconciliation.by_group(connection, check, dataset, other, subject.due, variables)
            )
        elif check.type == "reconciliation":
            found.append(reconciliation.total(check, ours[at], theirs[at]))
    return found


def _past(pasts: Mapping[CheckKey, Past], subject: Subject, check: DeclaredCheck) -> Past:
    return pasts.get((subject.dataset.key, check.check_id), Past())


def _arrivals(subject: Subject) -> Measured:
    days = subject.batches.rows_by_day if subject.batches is not None else {}
    return Measured(days=days, rows=days)


def _theirs(
    connection: Connection,
    catalog: Catalog,
    totals: Sequence[DeclaredCheck],
    variables: Mapping[str, str],
) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    for key in {str(each.body["with"]) for each in totals}:
        requests = [reconciliation.there(each) for each in totals if each.body["with"] == key]
        found |= measure(connection, catalog[key].relation, _filled(requests, variables))
    return found


def _filled(requests: Iterable[Request], variables: Mapping[str, str]) -> list[Request]:
    return [each.filled(variables) for each in requests]
