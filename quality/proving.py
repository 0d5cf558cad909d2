"""Checks tried before they are written: they hold today, and they fail when the data is bad."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from catalog.catalog import Catalog, Dataset
from quality import soda
from quality.check_file import CheckFile
from quality.check_lines import with_checks
from quality.evaluation import HOLDING, CheckResult
from quality.proposing import KINDS, ProposedCheck
from quality.reading import read
from warehouse.connection import Connection, named

# A copy to spoil needs no more rows than show it.
COPIED = 1_000


@dataclass(frozen=True)
class Proof:
    """What a check says today, and what it says of a copy that was spoilt for it."""

    check: ProposedCheck
    today: CheckResult | None
    spoilt: CheckResult | None

    @property
    def holds(self) -> bool:
        return self.today is not None and self.today.outcome in HOLDING

    @property
    def is_sharp(self) -> bool:
        return self.spoilt is not None and self.spoilt.outcome == "fail"


def prove(
    catalog: Catalog,
    dataset: Dataset,
    checks: Sequence[ProposedCheck],
    connection: Connection,
    now: str,
) -> list[Proof]:
    """Run by the same means as the gate runs them."""
    if not checks:
        return []
    file = _file(catalog, dataset, checks)
    today = _answers(connection, dataset, file, now)
    spoilt: dict[str, CheckResult] = {}
    with closing(_copy(connection, dataset)) as copy:
        for kind in KINDS:
            own = [each for each in checks if each.kind == kind]
            if own:
                spoilt |= _spoilt(copy, dataset, _file(catalog, dataset, own), own, now)
    return [Proof(each, _of(each, file, today), _of(each, file, spoilt)) for each in checks]


def _file(catalog: Catalog, dataset: Dataset, checks: Sequence[ProposedCheck]) -> CheckFile:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checks.yml"
        path.write_text(with_checks(path, "", checks), encoding="utf-8")
        return read(path, catalog, dataset)


def _answers(
    connection: Connection, dataset: Dataset, file: CheckFile, now: str
) -> dict[str, CheckResult]:
    answers = soda.run(connection, [soda.Scan(dataset, file, soda.EVERY_BATCH, now)])
    return {each.check_id: each for each in answers[dataset.key]}


def _copy(connection: Connection, dataset: Dataset) -> duckdb.DuckDBPyConnection:
    """Some rows of it, in memory, under its own name and with its own types."""
    names = [f"cast({named(each.name)} as varchar)" if each.data_type == "json"
             else named(each.name) for each in dataset.columns]  # fmt: skip
    rows = connection.execute(
        f"select {', '.join(names)} from {dataset.relation} limit {COPIED}"
    ).fetchall()
    copy = duckdb.connect()
    copy.execute("set TimeZone = 'UTC'")
    values = zip(*rows, strict=True) if rows else ([] for _ in names)
    copy.register("taken", pa.table([pa.array(list(each)) for each in values],
                                    [each.name for each in dataset.columns]))  # fmt: skip
    typed = [f"cast({named(each.name)} as {each.data_type or 'varchar'}) as {named(each.name)}"
             for each in dataset.columns]  # fmt: skip
    copy.execute(f"create table pristine as select {', '.join(typed)} from taken")
    copy.execute(f"create schema {dataset.schema}")
    return copy


def _spoilt(
    copy: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    file: CheckFile,
    checks: Sequence[ProposedCheck],
    now: str,
) -> Mapping[str, CheckResult]:
    copy.execute(f"create or replace table {dataset.relation} as select * from pristine")
    for each in checks:
        copy.execute(each.spoil.replace("$copy", dataset.relation))
    return _answers(copy, dataset, file, now)


def _of(
    check: ProposedCheck, file: CheckFile, answers: Mapping[str, CheckResult]
) -> CheckResult | None:
    ids = [each.check_id for each in file.checks if check.is_same(each)]
    return answers.get(ids[0]) if ids else None
