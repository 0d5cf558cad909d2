"""Every way known to us in which a check can say nothing and look as if it had passed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import duckdb
from gated_company import REVENUE, write

from quality import soda

Arrange = Callable[[duckdb.DuckDBPyConnection, Path], None]
ROWS = "checks:\n  - row_count:\n"


@dataclass(frozen=True)
class Case:
    """`file` is the dataset's check file, `arrange` what else goes wrong, `because` what is told.

    `alone` is the same as a contract of Soda's, where it can be said there: Soda lets it pass,
    in some cases once its logger is silent.
    """

    what: str
    soda: str
    because: str
    kind: str
    file: str = ROWS
    arrange: Arrange | None = None
    alone: str = ""
    # Where PostgreSQL says it in other words.
    on_postgres: str = ""


def sql(*statements: str) -> Arrange:
    def arrange(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        for each in statements:
            connection.execute(each)

    return arrange


def _unlinked(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    (folder / "marts" / "finance_revenue.yml").unlink()


def _not_utf8(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    path = write(folder, REVENUE, "")
    path.write_bytes(b"checks:\n  - row_count: {name: \xff}\n")


AVERAGE = (
    "columns:\n  - name: amount\n    checks:\n"
    "      - aggregate: {function: avg, threshold: {must_be_less_than: 60}}\n"
)
EMPTY = "delete from marts.finance_revenue"
NUMBER = 'checks:\n  - metric: {{name: m, query: "{}", threshold: {{must_not_be: 7}}}}\n'
ASKED = 'checks:\n  - metric:\n      query: "{}"\n      threshold: {{must_not_be: 7}}\n'
REFERENCE = (
    "columns:\n  - name: currency\n    checks:\n"
    "      - invalid: {valid_reference_data: {dataset: seeds.currencies, column: currency}}\n"
)
SILENT = "It is not evaluated, and the result is ok."
LOGGED = "An error that only its logger knows: with the logger silent the result is ok."
TOO = "It is an error there too."
NEVER = "It has no such check."

CASES = (
    Case(
        "An average of a table without rows", SILENT,
        "not evaluated", "not_evaluated", AVERAGE, sql(EMPTY),
        alone="columns:\n  - name: amount\n    checks:\n      - aggregate:\n"
        "          function: avg\n          threshold: {must_be_less_than: 60}\n",
    ),
    Case(
        "An expression that fails on some row",
        LOGGED,
        "Could not convert string", "not_evaluated",
        ROWS + "  - failed_rows: {expression: currency::int < 0}\n",
        alone=ROWS + "  - failed_rows:\n      expression: currency::int < 0\n",
        on_postgres="invalid input syntax for type integer: ***",
    ),
    Case(
        "A misspelt column in an expression",
        LOGGED,
        "did you mean `amount`?", "not_evaluated",
        ROWS + "  - failed_rows: {expression: amuont < 0}\n",
        alone=ROWS + "  - failed_rows:\n      expression: amuont < 0\n",
    ),
    Case(
        "A check on a column that the dataset does not have",
        LOGGED,
        "did you mean `amount`?", "not_evaluated",
        "columns:\n  - name: amuont\n    checks: [missing: ]\n",
        alone="columns:\n  - name: amuont\n    checks:\n      - missing:\n",
    ),
    Case(
        "A misspelt threshold", "The default is taken, and passes.",
        "did you mean `threshold`?", "not_evaluated",
        "checks:\n  - row_count:\n      treshold: {must_be: 5}\n",
        alone="checks:\n  - row_count:\n      treshold: {must_be: 5}\n",
    ),
    Case(
        "A misspelt comparison", "The default is taken, and passes.",
        "is not a key of a threshold", "not_evaluated",
        "checks:\n  - row_count:\n      threshold: {must_equal: 5}\n",
        alone="checks:\n  - row_count:\n      threshold: {must_equal: 5}\n",
    ),
    Case(
        "A number written as text", LOGGED,
        "must be a number", "not_evaluated",
        "checks:\n  - row_count:\n      threshold: {must_be_greater_than: '5'}\n",
        alone="checks:\n  - row_count:\n      threshold: {must_be_greater_than: '5'}\n",
    ),
    Case(
        "A section that the engine does not know", "It is ignored.",
        "is not a key of a check file", "not_evaluated",
        ROWS + "reconciliation:\n  checks:\n    - row_count_diff:\n",
        alone=ROWS + "reconciliation:\n  checks:\n    - row_count_diff:\n",
    ),
    Case(
        "An unknown check", LOGGED,
        "did you mean `row_count`?", "not_evaluated", "checks:\n  - row_cuont:\n",
        alone="checks:\n  - row_cuont:\n",
    ),
    Case(
        "A key that stands twice", TOO,
        "stands twice", "not_evaluated",
        "checks:\n  - failed_rows: {expression: amount > 0}\n" + ROWS,
    ),
    Case(
        "A check file without checks", "It passes.",
        "declares no check", "not_evaluated", "filter: amount > 0\n",
        alone="columns:\n  - name: payment_id\n",
    ),
    Case(
        "An empty check file", TOO,
        "is empty", "not_evaluated", "# later\n",
    ),
    Case(
        "No check file for a dataset that is published", "Nothing asks for one.",
        "has no check file", "not_evaluated", arrange=_unlinked,
    ),
    Case(
        "A check file that is no YAML", TOO,
        "is not YAML", "not_evaluated", "checks:\n  - row_count: [\n",
    ),
    Case(
        "A check file that is not UTF-8", TOO,
        "is not UTF-8", "not_evaluated", arrange=_not_utf8,
    ),
    Case(
        "A variable that does not exist", LOGGED,
        "did you mean `var.AS_OF`?", "not_evaluated",
        "filter: amount > ${var.AS_FO}\n" + ROWS,
        alone="filter: amount > ${var.AS_FO}\n" + ROWS,
    ),
    Case(
        "A query that gives nothing", SILENT,
        "not evaluated", "not_evaluated", NUMBER.format("select 1 where false"),
        alone=ASKED.format("select 1 where false"),
    ),
    Case(
        "A query that gives null", SILENT,
        "not evaluated", "not_evaluated", NUMBER.format("select null"),
        alone=ASKED.format("select null"),
    ),
    Case(
        "A query that gives not-a-number", TOO,
        "not evaluated", "not_evaluated", NUMBER.format("select 'nan'::double"),
    ),
    Case(
        "A table that was never built", LOGGED,
        "does not exist", "schema", arrange=sql("drop table marts.finance_revenue"), alone=ROWS,
    ),
    Case(
        "A table with reference data that is gone",
        LOGGED,
        "not evaluated", "not_evaluated", REFERENCE, sql("drop table seeds.currencies"),
        alone="columns:\n  - name: currency\n    checks:\n      - invalid:\n"
        "          valid_reference_data:\n"
        "            dataset: workshop/seeds/currencies\n            column: currency\n",
    ),
    Case(
        "A column renamed in SQL and not in the YAML", "Without a schema check nothing is said.",
        "`amount` is missing", "schema",
        arrange=sql("alter table marts.finance_revenue rename amount to total"), alone=ROWS,
    ),
    Case(
        "A column whose type changed", "`bigint` and `integer` are taken for the same.",
        "`amount` is BIGINT, declared DECIMAL(18,2)", "schema",
        arrange=sql("alter table marts.finance_revenue alter amount type bigint"), alone=ROWS,
        on_postgres="`amount` is bigint, declared numeric(18,2)",
    ),
    Case(
        "A reconciliation with a table that is gone", NEVER,
        "not evaluated", "not_evaluated",
        "checks:\n  - reconciliation: {with: curated.fct_payments}\n",
        sql("drop table curated.fct_payments"),
    ),
    Case(
        "A reconciliation of sums that are no numbers", NEVER,
        "not evaluated", "not_evaluated",
        "checks:\n  - reconciliation: {with: curated.fct_payments, expression: max(currency)}\n",
    ),
    Case(
        "A value over time without a value", NEVER,
        "not evaluated", "not_evaluated",
        "columns:\n  - name: amount\n    checks:\n      - anomaly: {measure: avg}\n", sql(EMPTY),
    ),
    Case(
        "A trial that has ended", "There are no trials.",
        "must be more than 100", "check_failed",
        "checks:\n  - row_count:\n      threshold: {must_be_greater_than: 100}\n"
        "      observe_only: {until: 2020-01-01, because: we were trying it out}\n",
    ),
)  # fmt: skip


@contextmanager
def silenced_logger() -> Iterator[None]:
    logging.getLogger("soda").setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logging.getLogger("soda").setLevel(logging.NOTSET)


@contextmanager
def no_engine() -> Iterator[None]:
    """The part of Soda that speaks to DuckDB is not installed."""
    soda._library.cache_clear()
    name = "soda_duckdb.common.data_sources.duckdb_data_source"
    try:
        with mock.patch.dict("sys.modules", {name: None}):
            yield
    finally:
        soda._library.cache_clear()
