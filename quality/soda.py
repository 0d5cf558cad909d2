"""Soda in this process, on an open connection; its answers are believed only when whole.

Soda's own verdict (`is_ok`, the session's status, the exit code) is never consulted: it is
computed from log records and counts checks that were not evaluated as passed. Every declared
check carries an id as its `qualifier`; a check without an answer under its id was not evaluated,
and an answer must agree with the threshold as we read it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from catalog.catalog import Dataset
from quality.check_file import CheckFile, DeclaredCheck
from quality.evaluation import CheckResult, answered, measured
from quality.thresholds import Outcome, Threshold
from warehouse.connection import Connection, engine
from warehouse.engine_words import engine_message
from warehouse.postgres import PostgresConnection

if TYPE_CHECKING:
    from soda_core.contracts.contract_verification import ContractVerificationSessionResult

DATA_SOURCE = "workshop"
EVERY_BATCH = -1
# The writer in C, where the library has it.
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
OUTCOMES: Mapping[str, Outcome] = {
    "PASSED": "pass",
    "WARN": "warn",
    "FAILED": "fail",
    "NOT_EVALUATED": "not_evaluated",
    "EXCLUDED": "not_evaluated",
}


@dataclass(frozen=True)
class Scan:
    """A dataset with the checks that Soda is to run; of a source only the batches that are due."""

    dataset: Dataset
    file: CheckFile
    after_batch: int = EVERY_BATCH
    # Its "now", as the file's ${var.AS_OF}.
    as_of: str = ""

    @property
    def checks(self) -> tuple[DeclaredCheck, ...]:
        return tuple(check for check in self.file.checks if check.by_soda)


def run(connection: Connection, scans: Sequence[Scan]) -> dict[str, tuple[CheckResult, ...]]:
    """Every declared check of every scan, answered or marked as not evaluated."""
    asked = [scan for scan in scans if scan.checks]
    if not asked:
        return {scan.dataset.key: () for scan in scans}
    try:
        place = _place(connection)
        session = _session(connection, [contract(scan, place) for scan in asked])
        answers = list(session.contract_verification_results)
        fault = "" if len(answers) == len(asked) else "Soda answered for other datasets than asked"
    except Exception as error:  # Soda raises whatever its parts raise; all of it closes the gate.
        answers = []
        fault = engine_message(f"Soda stopped: {type(error).__name__}: {error}")
    found: dict[str, tuple[CheckResult, ...]] = {scan.dataset.key: () for scan in scans}
    for index, scan in enumerate(asked):
        answer = answers[index] if not fault else None
        found[scan.dataset.key] = tuple(_read(scan, answer, fault))
    return found


def _place(connection: Connection) -> str:
    """How Soda's names of datasets begin: a server has several databases, a file is one."""
    if engine(connection) == "duckdb":
        return DATA_SOURCE
    [database] = connection.execute("select current_database()").fetchone()
    return f"{DATA_SOURCE}/{database}"


def contract(scan: Scan, place: str = DATA_SOURCE) -> str:
    """The complete Soda contract of a check file.

    Of columns those that are checked, and one at least, which Soda asks for: reading the others
    was a third of its work.
    """
    columns: dict[str, dict[str, Any]] = {
        column.name: {"name": column.name} for column in scan.dataset.columns[:1]
    }
    checks: list[dict[str, Any]] = []
    for check in scan.checks:
        spelt = {check.type: _body(check, place)}
        if check.column:
            entry = columns.setdefault(check.column, {"name": check.column})
            entry.setdefault("checks", []).append(spelt)
        else:
            checks.append(spelt)
    document: dict[str, Any] = {
        "dataset": f"{place}/{scan.dataset.schema}/{scan.dataset.name}",
        "variables": {
            "AS_OF": {"default": scan.as_of},
            "AFTER_BATCH": {"default": str(scan.after_batch)},
        },
        "columns": list(columns.values()),
    }
    due = f"_batch_id > {scan.after_batch}" if scan.after_batch != EVERY_BATCH else ""
    filters = [f"({part})" for part in (scan.file.filter, due) if part]
    if filters:
        document["filter"] = " and ".join(filters)
    if checks:
        document["checks"] = checks
    return yaml.dump(document, Dumper=DUMPER, sort_keys=False, allow_unicode=True)


def _body(check: DeclaredCheck, place: str) -> dict[str, Any]:
    body = dict(check.body)
    if "valid_reference_data" in body:
        reference = body["valid_reference_data"]
        body["valid_reference_data"] = {
            "dataset": f"{place}/{reference['schema']}/{reference['table']}",
            "column": reference["column"],
        }
    assert check.threshold is not None
    return {
        "name": check.name,
        "qualifier": check.check_id,
        **body,
        "threshold": check.threshold.yaml(),
    }


def _session(connection: Connection, contracts: Sequence[str]) -> ContractVerificationSessionResult:
    session, source = _library()
    cursor = connection.cursor()
    try:
        cursor.execute("set TimeZone = 'UTC'")
        return session.execute(
            contract_yaml_sources=[source.from_str(text) for text in contracts],
            data_source_impls=[_data_source(cursor)],
        )
    finally:
        cursor.close()


def _data_source(cursor: Connection) -> Any:
    """Soda's name for the session that is open already."""
    if engine(cursor) == "duckdb":
        from soda_duckdb.common.data_sources.duckdb_data_source import DuckDBDataSourceImpl

        return DuckDBDataSourceImpl.from_existing_cursor(cursor, name=DATA_SOURCE)
    from soda_postgres.common.data_sources import postgres_data_source as soda_postgres
    from soda_postgres.common.data_sources import postgres_data_source_connection as session

    class Opened(session.PostgresDataSourceConnection):  # type: ignore[misc]
        def _create_connection(self, config: Any) -> Any:
            return config

    assert isinstance(cursor, PostgresConnection)
    opened = Opened(DATA_SOURCE, cursor.raw)
    model = soda_postgres.PostgresDataSourceModel.model_construct(
        name=DATA_SOURCE, connection_properties={}
    )
    return soda_postgres.PostgresDataSourceImpl(data_source_model=model, connection=opened)


@cache
def _library() -> tuple[Any, Any]:
    # Before the import: afterwards Soda has installed its tracer and waits for the network.
    os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
    from soda_core.common.yaml import ContractYamlSource
    from soda_core.contracts.contract_verification import ContractVerificationSession

    return ContractVerificationSession, ContractYamlSource


def _read(scan: Scan, answer: Any, fault: str) -> list[CheckResult]:
    given: dict[str, list[Any]] = {}
    for each in answer.check_results if answer is not None else ():
        given.setdefault(str(each.check.qualifier), []).append(each)
    fault = fault or _fault(answer)
    return [_judge(check, given.get(check.check_id, []), fault) for check in scan.checks]


def _fault(answer: Any) -> str:
    """The engine's first complaint, for the message only: the verdict never depends on it."""
    if answer is None:
        return ""
    if getattr(answer, "error", None) is not None:
        return engine_message(str(answer.error))
    for record in getattr(answer, "log_records", None) or ():
        if record.levelname in ("ERROR", "CRITICAL"):
            text = record.getMessage()
            problem = getattr(record, "exc_info", None)
            detail = str(problem[1]) if problem and problem[1] is not None else ""
            return engine_message(detail or text)
    return ""


def _judge(check: DeclaredCheck, answers: Sequence[Any], fault: str) -> CheckResult:
    threshold = check.threshold
    assert isinstance(threshold, Threshold)
    outcome: Outcome = "not_evaluated"
    value: float | None = None
    message = ""
    if len(answers) == 1:
        outcome = OUTCOMES.get(answers[0].outcome.name, "error")
        value = _number(answers[0].threshold_value)
        ours = threshold.judge(value)
        if outcome in ("pass", "warn", "fail") and outcome != ours:
            message = f"Soda says {outcome}, its value {value} says {ours} ({threshold})"
            outcome = "error"
    if outcome in ("fail", "warn") and value is not None:
        message = measured(threshold, value)
    if outcome == "not_evaluated":
        message = f"not evaluated ({fault})" if fault else "not evaluated (no rows to measure?)"
    return answered(check, outcome, value, message)


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
