"""A closing explains itself with rows, and shows nothing personal anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from gated_company import PAYMENTS, REVENUE, Catalog, Check, dataset, write

from orchestration.gating import explanation
from quality import gate
from quality.evaluate import evaluate
from quality.evaluation import Evaluation
from quality.masking import masked_in_query
from warehouse.engine_words import engine_lines, engine_message, placed
from warehouse.settings import Settings

pytest_plugins = ["gated_company"]

PEOPLE = "curated.dim_people"
SECRETS = ("jane.roe@example.com", "Jane Roe", "4711", "jane")
Ask = Callable[[str], Evaluation]


@pytest.fixture
def people(catalog: Catalog) -> Catalog:
    found = dataset(
        PEOPLE,
        {"person_id": "varchar", "email": "varchar", "age": "bigint", "team": "varchar"},
    )
    columns = tuple(
        replace(each, classification="personal")
        if each.name in ("email", "age")
        else replace(each, classification="confidential")
        for each in found.columns
    )
    return Catalog({**catalog.datasets, PEOPLE: replace(found, columns=columns)}, {}, {})


@pytest.fixture
def ask(
    settings_here: Settings,
    people: Catalog,
    company: duckdb.DuckDBPyConnection,
    checks_dir: Path,
) -> Ask:
    """Evaluate and record the people with a check file, as a gate step does."""
    company.execute(
        "create table curated.dim_people as select * from (values"
        " ('a', 'jane.roe@example.com', 4711::bigint, 'sales'),"
        " ('b', 'Jane Roe', 30, 'sales'), ('b', 'Jane Roe', 31, 'legal'),"
        " ('c', null, null, 'Acme Street 7')) t(person_id, email, age, team)"
    )

    def once(text: str) -> Evaluation:
        write(checks_dir, PEOPLE, text)
        [found] = evaluate(settings_here, people, company, [PEOPLE], folder=checks_dir)
        gate.record(settings_here, [found], "run")
        return found

    return once


def on(column: str, check: str) -> str:
    return f"columns:\n  - name: {column}\n    checks:\n      - {check}\n"


@pytest.mark.parametrize(
    "text, rows",
    [
        (on("email", "missing: "), [{"email": None, "person_id": "c", "age": None}]),
        (
            on("email", "invalid: {valid_format: {regex: '^.+@.+$', name: address}}"),
            [{"email": "J***", "person_id": "b", "age": "***"}] * 2,
        ),
        (on("age", "invalid: {valid_max: 100}"), [{"age": "***", "email": "j***"}]),
        (
            on("team", "invalid: {valid_values: [sales, legal, 'Acme Street 7x']}"),
            [{"team": "Acme Street 7", "email": None}],
        ),
        (on("email", "duplicate: "), [{"email": "J***", "row_count": "2"}]),
        (
            "checks:\n  - duplicate: {columns: [person_id, email]}\n",
            [{"person_id": "b", "email": "J***", "row_count": "2"}],
        ),
        (
            "checks:\n  - failed_rows: {expression: age > 100}\n",
            [{"person_id": "a", "email": "j***", "age": "***", "team": "sales"}],
        ),
        (
            "checks:\n  - failed_rows:\n"
            "      query: select person_id, team from curated.dim_people where person_id = 'a'\n",
            [{"person_id": "a", "team": "sales"}],
        ),
        (
            "checks:\n  - failed_rows:\n"
            "      query: select email as alias from curated.dim_people where person_id = 'a'\n",
            [{"alias": "j***"}],
        ),
        (
            "checks:\n  - failed_rows:\n"
            "      query: select * from curated.dim_people where person_id = 'a'\n",
            [{"person_id": "a", "email": "j***", "age": "***"}],
        ),
        (
            on(
                "team",
                "invalid: {valid_reference_data: {dataset: seeds.currencies, column: currency}}",
            ),
            [{"email": "j***"}, {"email": "J***"}, {"email": "J***"}, {"email": None}],
        ),
    ],
)
def test_some_rows_are_shown_and_personal_columns_masked(
    text: str, rows: list[dict[str, str | None]], ask: Ask
) -> None:
    found = ask(text)
    assert not found.is_open
    sample = found.failing[0].sample
    assert len(sample) == len(rows)
    for expected in rows:
        assert any(expected.items() <= row.items() for row in sample), (expected, sample)


def test_no_more_than_five_rows_are_shown(check: Check, company: duckdb.DuckDBPyConnection) -> None:
    found = check(REVENUE, on("amount", "invalid: {valid_max: 50}"))
    assert len(found.failing[0].sample) == 5
    assert found.failing[0].sample[0]["amount"] == "51.00"


def test_a_row_of_a_source_names_its_file_and_hides_what_nobody_declared(
    check: Check, company: duckdb.DuckDBPyConnection
) -> None:
    company.execute("""update raw_billing.payments set _extra = '{"mail": "jane"}'""")
    found = check(PAYMENTS, "checks:\n  - failed_rows: {expression: amount = 7}\n")
    [row] = found.failing[0].sample
    assert row["_source_file"] == "billing/payments/2026-03-30/1.jsonl"
    query = "select _extra from raw_billing.payments where amount = 7"
    found = check(PAYMENTS, f"checks:\n  - failed_rows: {{query: {query}}}\n")
    assert "jane" not in str(found)


# Each tries to get a personal value out by another door.
DOORS = (
    on("email", "missing: "),
    on("age", "invalid: {valid_max: 1}"),
    on("email", "duplicate: "),
    on("email", "anomaly: {measure: distinct}"),
    on("email", "invalid: {valid_values: [nobody]}"),
    "checks:\n  - failed_rows: {expression: email::int > 0}\n",
    "checks:\n  - metric: {expression: max(email::int), threshold: {must_be: 0}}\n",
    "checks:\n  - change_over_time: {expression: sum(email::int), threshold: {must_be: 0}}\n",
    "checks:\n  - metric: {query: select min(email::int) from curated.dim_people,"
    " threshold: {must_be: 0}}\n",
    "checks:\n  - failed_rows: {query: select p from curated.dim_people as p}\n",
    "checks:\n  - failed_rows: {query: select p::varchar as q from curated.dim_people as p}\n",
    "checks:\n  - failed_rows: {query: select columns('em.*') from curated.dim_people}\n",
    "checks:\n  - failed_rows:\n      query: with x as (select * from curated.dim_people)"
    " select * from x\n",
    "checks:\n  - reconciliation: {with: curated.dim_people, by: [email], expression: sum(age),"
    " with_expression: sum(age) + 1}\n",
    "checks:\n  - reconciliation: {with: curated.dim_people, expression: sum(email::int)}\n",
)


@pytest.mark.parametrize("text", DOORS)
def test_nothing_personal_is_in_the_log_in_messages_or_in_dagster(
    text: str, ask: Ask, settings_here: Settings
) -> None:
    found = ask(text)
    logged = "".join(path.read_text() for path in Path(settings_here.landing_url).rglob("*.jsonl"))
    # An event's id is random: a short number can be in it by chance.
    logged = re.sub(r'"event_id": "\w+"', "", logged)
    told = json.dumps({name: str(each) for name, each in explanation(found).items()})
    for secret in SECRETS:
        for place in (logged, told, found.reason):
            assert secret not in place, (secret, place)


@pytest.mark.parametrize("function", ["min", "max"])
def test_the_extremes_of_a_personal_column_may_not_be_asked_for(function: str, ask: Ask) -> None:
    check = f"aggregate: {{function: {function}, threshold: {{must_be_less_than: 200}}}}"
    assert "would show one person's" in ask(on("age", check)).reason
    assert ask(on("age", check.replace(function, "avg"))).checks[-1].outcome == "fail"
    shares = "anomaly: {measure: p99}"
    assert "would show one person's" in ask(on("age", shares)).reason


def test_a_query_that_cannot_be_read_shows_nothing(people: Catalog) -> None:
    for query in (
        "select email as x from curated.dim_people",
        "select x from (select email as x from curated.dim_people)",
        "select p from curated.dim_people p",
        "select team from elsewhere.unknown",
    ):
        assert masked_in_query(people, query, ["x", "p", "team"]) == {"x", "p", "team"}
    query = "select team, count(*) as n from curated.dim_people group by team"
    assert masked_in_query(people, query, ["team", "n"]) == frozenset()


def test_an_engines_words_about_a_value_are_kept_and_the_value_is_not() -> None:
    told = engine_message(
        "Runtime Error in model x\n  Conversion Error: Could not convert string "
        "'jane.roe@example.com' to INT32 when casting from source column email\n\nLINE 4: ..."
    )
    assert "Could not convert string *** to INT" in told and "jane" not in told
    about_sql = 'Binder Error: Referenced column "amuont" not found in FROM clause!'
    assert engine_message(about_sql) == about_sql
    assert engine_message("Got 3 results, configured to fail if != 0") == (
        "Got 3 results, configured to fail if != 0"
    )


def test_a_fault_in_a_models_sql_keeps_its_lines_and_names_the_file() -> None:
    said = engine_lines(
        'Runtime Error in model x (models/x.sql)\n  Parser Error: syntax error at or near "frm"'
        "\n  \n  LINE 12: frm months\n           ^^^"
    )
    marked = 'Parser Error: syntax error at or near "frm"\nLINE 12: frm months\n         ^^^\n'
    own = "select a\nfrm months\n"
    compiled = ("dbt/x.sql", "-- here\nselect a\nfrm months")
    assert placed(said, ("models/x.sql", own), compiled) == (
        f"{marked}in models/x.sql:2 (compiled: dbt/x.sql:3)"
    )
    # A macro wrote that line.
    assert placed(said, ("models/x.sql", "{{ all() }}"), compiled) == (
        f"{marked}in dbt/x.sql:3, compiled from models/x.sql"
    )
    assert placed("Got 3 results", ("models/x.sql", own), compiled) == "Got 3 results"
    assert engine_message(marked) == marked.replace("\n         ^^^\n", "").replace("\n", " ")


def test_a_complaint_with_many_candidates_is_cut_before_the_place_that_it_marks() -> None:
    many = ", ".join(f"curated.dim_accounts.column_{n}" for n in range(60))
    place = "  LINE 3: select amuont\n                 ^"
    said = engine_lines(
        "Runtime Error in model x (models/x.sql)\n"
        f'  Binder Error: Referenced column "amuont" not found!\n  Candidates: {many}\n\n{place}'
    )
    assert len(said) <= 800 and said.endswith(f" …\n{place}") and "column_9" in said
    own, compiled = "select amuont\n", ("dbt/x.sql", "-- here\nselect amuont\n")
    told = placed(said, ("models/x.sql", own), compiled)
    assert told.startswith("Binder Error: ") and told.endswith(
        "LINE 3: select amuont\n               ^\nin models/x.sql:1 (compiled: dbt/x.sql:2)"
    )
    assert len(engine_lines(f"Binder Error: {many}")) == 800


def test_dagster_is_given_values_expectations_and_rows(check: Check) -> None:
    found = check(REVENUE, on("amount", "invalid: {name: large, valid_max: 99}"))
    told = explanation(found)
    assert set(told) == {"checks", "why", "rows: large"}
    assert "must be 0" in str(told["checks"]) and "100.00" in str(told["rows: large"])
    assert "**large**: 1, must be 0" in str(told["why"])
