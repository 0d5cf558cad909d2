"""Evaluate datasets: every declared check of each, on the workshop, in one Soda session."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from catalog.catalog import Catalog, Dataset
from catalog.leaks import KeptBack
from quality import comparing, gate, history, own_checks, soda, standards
from quality.checks import (
    CHECKS_DIR,
    CheckFile,
    CheckFileError,
    DeclaredCheck,
    load,
)
from quality.comparing import Subject
from quality.contents import contents
from quality.evaluation import CheckResult, Evaluation, closed, unevaluated
from quality.gate_state import GateState
from quality.sample import rows_at_fault
from quality.variables import filled
from quality.vocabulary import DEFAULT_WINDOW_DAYS
from warehouse import structure
from warehouse.clock import as_of as clock_as_of
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.settings import Settings


def declared(
    catalog: Catalog, dataset: Dataset, folder: Path = CHECKS_DIR
) -> tuple[DeclaredCheck, ...]:
    """What has to hold before this dataset's gate opens (an unreadable file declares nothing)."""
    file = load(catalog, dataset, folder)
    return (*own_checks.declared(dataset), *(file.checks if file else ()))


def evaluate(
    settings: Settings,
    catalog: Catalog,
    connection: Connection,
    keys: Iterable[str],
    *,
    states: Mapping[str, GateState] | None = None,
    folder: Path = CHECKS_DIR,
    kept_back: Mapping[str, KeptBack] | None = None,
) -> tuple[Evaluation, ...]:
    """One evaluation per key, in the keys' order; what cannot be evaluated is closed, and so is
    what calls its columns too little.
    """
    wanted = list(dict.fromkeys(keys))
    started = time.perf_counter()
    unknown = [key for key in wanted if key not in catalog.datasets]
    datasets = [catalog[key] for key in wanted if key in catalog.datasets]
    files, broken = _files(catalog, datasets, folder)
    if states is None:
        states = gate.states(settings, [each.key for each in datasets if each.layer == "raw"])
    company, wall = clock_as_of(settings), wall_clock()
    now = {each.key: wall if each.has_wall_clock else company for each in datasets}
    present = structure.columns(connection)
    raw = [each for each in datasets if each.layer == "raw"]
    windows = own_checks.batches(
        connection,
        raw,
        _positions(states, raw),
        {each.key: _window(files.get(each.key)) for each in raw},
        now,
    )
    subjects = [
        Subject(each, file, windows.get(each.key))
        for each in datasets
        if (file := files.get(each.key)) is not None and _key(each) in present
    ]
    answered = soda.run(
        connection,
        [
            soda.Scan(
                each.dataset, each.file, _after(each.batches), now[each.dataset.key].isoformat()
            )
            for each in subjects
        ],
    )
    known = contents(catalog, connection, datasets)
    pasts = history.read(settings, comparing.remembered(each.file for each in subjects))
    explained: dict[str, list[CheckResult]] = {}
    for subject in subjects:
        today = now[subject.dataset.key]
        given = [
            *answered[subject.dataset.key],
            *comparing.answers(connection, catalog, subject, pasts, today),
        ]
        explained[subject.dataset.key] = _explained(connection, catalog, subject, given, today)
    found: dict[str, Evaluation] = {
        key: closed(key, "dataset", "no such dataset in the catalog") for key in unknown
    }
    for each in datasets:
        if each.key in broken:
            found[each.key] = closed(each.key, "check file", str(broken[each.key].what))
            continue
        checks = [own_checks.schema_check(connection, each, present.get(_key(each)))]
        if kept_back and each.key in kept_back:
            checks.append(own_checks.classification_check(kept_back[each.key]))
        window = windows.get(each.key)
        if own_checks.freshness_hours(each) is not None:
            checks.append(
                own_checks.arrival_check(each, window, now[each.key])
                if window is not None
                else own_checks.column_freshness_check(connection, each, now[each.key])
            )
        checks += _in_order(files.get(each.key), explained.get(each.key, ()))
        found[each.key] = Evaluation(
            each.key,
            tuple(checks),
            window.newest if window is not None else None,
            arrived_at=window.arrived_at if window is not None else None,
            content=known.get(each.key, ""),
            judged_by=standards.mark(catalog, each, folder),
            judged_on=now[each.key].date(),
        )
    spent = (time.perf_counter() - started) / max(1, len(wanted))
    return tuple(replace(found[key], seconds=spent) for key in wanted)


def _positions(
    states: Mapping[str, GateState], raw: Iterable[Dataset]
) -> dict[str, own_checks.Position]:
    return {
        each.key: own_checks.Position(state.position, state.positioned_at)
        for each in raw
        if (state := states.get(each.key)) is not None
        and state.position is not None
        and state.positioned_at is not None
    }


def _files(
    catalog: Catalog, datasets: Iterable[Dataset], folder: Path
) -> tuple[dict[str, CheckFile], dict[str, CheckFileError]]:
    files: dict[str, CheckFile] = {}
    broken: dict[str, CheckFileError] = {}
    for dataset in datasets:
        try:
            file = load(catalog, dataset, folder)
        except CheckFileError as error:
            broken[dataset.key] = error
        else:
            if file is not None:
                files[dataset.key] = file
    return files, broken


def _explained(
    connection: Connection,
    catalog: Catalog,
    subject: Subject,
    answers: Iterable[CheckResult],
    now: datetime,
) -> list[CheckResult]:
    """Failing checks with some of the rows that they are about."""
    declared = {check.check_id: check for check in subject.file.checks}
    variables = subject.variables(now)
    return [
        replace(
            each,
            sample=rows_at_fault(
                connection,
                catalog,
                subject.dataset,
                declared[each.check_id].filled(variables),
                [filled(part, variables) for part in subject.due],
            ),
        )
        if each.outcome == "fail" and not each.sample
        else each
        for each in answers
    ]


def _in_order(file: CheckFile | None, answers: Iterable[CheckResult]) -> list[CheckResult]:
    """One result per check that the file declares, whatever was answered."""
    given = {answer.check_id: answer for answer in answers}
    today = wall_clock().date()
    return [
        replace(
            given.get(check.check_id) or unevaluated(check, "there is no table to check"),
            is_observed=check.is_observed(today),
        )
        for check in (file.checks if file is not None else ())
    ]


def _window(file: CheckFile | None) -> int:
    return file.window_days if file is not None else DEFAULT_WINDOW_DAYS


def _after(window: own_checks.Batches | None) -> int:
    return window.after if window is not None else soda.EVERY_BATCH


def _key(dataset: Dataset) -> tuple[str, str]:
    return dataset.schema, dataset.name
