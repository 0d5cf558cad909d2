"""A gate that cannot be passed: whatever keeps a check from being evaluated shuts.

Each case goes the way that Dagster goes: evaluate, record, ask what may be built and published.
docs/reference/fail_closed.md is made from the cases.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import duckdb
import pytest
from fail_closed_cases import CASES, LOGGED, Case, no_engine, silenced_logger
from gated_company import FACTS, FUNNEL, PAYMENTS, REVENUE, STAGED, either_engine, write

from catalog.catalog import Catalog
from quality import downstream, gate, soda
from quality.evaluate import evaluate
from quality.evaluation import CheckResult, Evaluation
from warehouse.connection import ENGINE_ERRORS
from warehouse.settings import PROJECT_ROOT, Settings

pytest_plugins = ["gated_company"]

PAGE = PROJECT_ROOT / "docs" / "reference" / "fail_closed.md"
UPDATE = "UPDATE_REFERENCE=1 .venv/bin/python -m pytest tests/quality/test_fail_closed.py"
HERE = "tests/quality/test_fail_closed.py"
OTHERS = (
    (
        "The engine's logger is silenced",
        "Errors are counted in its log: none, so the result is ok.",
        "test_a_silenced_logger_opens_nothing",
    ),
    (
        "The engine, or its part for the database, cannot be loaded",
        "The process stops; whether that matters is up to who started it.",
        "test_an_engine_that_cannot_be_loaded_shuts_what_it_should_have_checked",
    ),
    (
        "The database went away",
        "The process stops; whether that matters is up to who started it.",
        "test_a_database_that_went_away_leaves_the_gate_shut",
    ),
    (
        "The process is killed while it evaluates",
        "There is no result, and nobody remembers that one was due.",
        "test_a_process_that_is_killed_leaves_the_gate_shut",
    ),
    (
        "The dataset is not in the catalog",
        "Nothing compares.",
        "test_a_dataset_that_nobody_knows_is_shut",
    ),
)


def pass_by(
    settings: Settings, catalog: Catalog, connection: duckdb.DuckDBPyConnection, folder: Path
) -> Evaluation:
    """What a gate step does, on a company whose other gates are open."""
    good = CheckResult("row_count", "row_count", "rows", "pass", 1.0)
    gate.record(settings, [Evaluation(key, (good,)) for key in catalog.datasets], "before")
    gate.mark_pending(settings, [REVENUE], "run")
    [found] = evaluate(settings, catalog, connection, [REVENUE], folder=folder)
    gate.record(settings, [found], "run")
    return found


def is_published(settings: Settings, catalog: Catalog, name: str = "finance_revenue") -> bool:
    states = gate.states(settings, catalog.datasets)
    plan = {each.name: each for each in downstream.publish_plan(catalog, states, {})}
    return plan[name].fresh


@either_engine
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_gate_stays_shut(
    case: Case,
    settings_here: Settings,
    catalog: Catalog,
    company: duckdb.DuckDBPyConnection,
    checks_dir: Path,
) -> None:
    write(checks_dir, REVENUE, case.file)
    if case.arrange is not None:
        case.arrange(company, checks_dir)
    found = pass_by(settings_here, catalog, company, checks_dir)
    assert not found.is_open
    because = (case.on_postgres if settings_here.target == "postgres" else "") or case.because
    assert because in found.reason
    assert found.kind == case.kind
    state = gate.states(settings_here, [REVENUE])[REVENUE]
    assert state.state == "closed" and because in state.reason
    assert not is_published(settings_here, catalog)
    assert is_published(settings_here, catalog, "growth_funnel")


@pytest.mark.parametrize("case", [each for each in CASES if each.alone], ids=lambda case: case.what)
def test_soda_alone_lets_it_pass(
    case: Case, company: duckdb.DuckDBPyConnection, checks_dir: Path
) -> None:
    """So that the page says what is so; when this fails, Soda has improved and so can we."""
    if case.arrange is not None:
        case.arrange(company, checks_dir)
    columns = "" if "columns:" in case.alone else "columns:\n  - name: payment_id\n"
    contract = f"dataset: workshop/marts/finance_revenue\n{columns}{case.alone}"
    with silenced_logger() if case.soda == LOGGED else nullcontext():
        assert soda._session(company, [contract]).is_ok
    if case.soda == LOGGED:
        assert not soda._session(company, [contract]).is_ok


@either_engine
def test_a_silenced_logger_opens_nothing(
    settings_here: Settings,
    catalog: Catalog,
    company: duckdb.DuckDBPyConnection,
    checks_dir: Path,
) -> None:
    broken = "checks:\n  - row_count:\n  - failed_rows: {expression: currency::int < 0}\n"
    write(checks_dir, REVENUE, broken)
    with silenced_logger():
        assert not pass_by(settings_here, catalog, company, checks_dir).is_open
    assert not is_published(settings_here, catalog)


def test_an_engine_that_cannot_be_loaded_shuts_what_it_should_have_checked(
    settings_here: Settings,
    catalog: Catalog,
    company: duckdb.DuckDBPyConnection,
    checks_dir: Path,
) -> None:
    with no_engine():
        found = pass_by(settings_here, catalog, company, checks_dir)
    assert not found.is_open and found.kind == "not_evaluated"
    assert "Soda stopped" in found.reason
    assert pass_by(settings_here, catalog, company, checks_dir).is_open


@either_engine
def test_a_database_that_went_away_leaves_the_gate_shut(
    settings_here: Settings,
    catalog: Catalog,
    company: duckdb.DuckDBPyConnection,
    checks_dir: Path,
) -> None:
    company.close()
    with pytest.raises(ENGINE_ERRORS):
        pass_by(settings_here, catalog, company, checks_dir)
    assert gate.states(settings_here, [REVENUE])[REVENUE].state == "pending"
    assert not is_published(settings_here, catalog)


def test_a_process_that_is_killed_leaves_the_gate_shut(
    settings_here: Settings, catalog: Catalog
) -> None:
    good = CheckResult("row_count", "row_count", "rows", "pass", 1.0)
    gate.record(settings_here, [Evaluation(key, (good,)) for key in catalog.datasets], "before")
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from quality import gate; from warehouse.settings import Settings;"
        "gate.mark_pending(Settings(data_dir=Path(sys.argv[1])), sys.argv[2:], 'run');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(settings_here.data_dir), FACTS], cwd=PROJECT_ROOT
    )
    assert done.returncode == -signal.SIGKILL
    states = gate.states(settings_here, catalog.datasets)
    assert states[FACTS].state == "pending"
    can, withheld = downstream.buildable(catalog, states, [REVENUE, FUNNEL, STAGED, PAYMENTS])
    assert set(can) == {FUNNEL, STAGED, PAYMENTS} and set(withheld) == {REVENUE}
    assert not is_published(settings_here, catalog)


def test_a_dataset_that_nobody_knows_is_shut(
    settings_here: Settings, catalog: Catalog, company: duckdb.DuckDBPyConnection
) -> None:
    [found] = evaluate(settings_here, catalog, company, ["marts.finance_revenu"])
    assert not found.is_open and found.kind == "not_evaluated"


def test_the_page_says_what_is_tested() -> None:
    if os.environ.get("UPDATE_REFERENCE"):
        PAGE.write_text(page())
    assert PAGE.exists() and PAGE.read_text() == page(), (
        f"The cases have changed. Make {PAGE.name} anew: {UPDATE}"
    )


def test_each_case_of_the_page_has_a_test_of_this_module() -> None:
    assert all(callable(globals()[test]) for _, _, test in OTHERS)
    assert len({case.what for case in CASES}) == len(CASES)


def page() -> str:
    proven = sum(1 for case in CASES if case.alone)
    rows = [
        *[(x.what, x.soda, f"`test_a_gate_stays_shut[{x.what}]`") for x in CASES],
        *[(what, alone, f"`{test}`") for what, alone, test in OTHERS],
    ]
    lines = "\n".join(f"| {what} | {alone} | {test} |" for what, alone, test in rows)
    return f"""# What shuts a gate

{len(rows)} ways in which a check can say nothing and look as if it had passed. Soda 4.28 is the
engine; its own verdict is never asked
([decision 0006](../decisions/0006-fail-closed-on-soda-4.md)). Each case is played by the test
beside it, the way Dagster goes: the gate shuts, says why, and the table stays out of the
snapshot. Where Soda's own answer can be had, {proven} times, a test asks for it.

Made from `{HERE}`; to make it anew:
`{UPDATE}`.

| case | Soda alone | the test |
|---|---|---|
{lines}
"""
