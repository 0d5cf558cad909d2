"""`sluice new model|metric|check` on the demo's data: written, built, gated, answered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pytest
import yaml
from new_sources import Copy, copy_house
from platform_under_test import NO_PROMPT, Sluice

from catalog.catalog import Catalog, Column, Dataset
from quality.proposing import ProposedCheck
from quality.proving import prove
from warehouse.settings import PROJECT_ROOT

MODEL = "fct_session_accounts"
COMMANDS = {
    "check": ["check", "fct_sessions", "--kind", "range", "--kind", "values", "--yes"],
    "check again": ["check", "fct_sessions", "--kind", "range", "--kind", "values", "--yes"],
    "check of one column": ["check", "dim_leads", "--column", "status", "--dry-run"],
    "check of no column": ["check", "dim_leads", "--column", "statsu", "--dry-run"],
    "model": ["model", MODEL, "--from", "fct_sessions", "--from", "dim_accounts",
              "--by-day", "started_on", "--public", "--yes"],
    "model again": ["model", MODEL, "--from", "fct_sessions", "--yes"],
    "a mart of staging": ["model", "growth_leads_daily", "--from", "stg_crm__leads"],
    "no key to join by": ["model", "growth_leads_daily", "--from", "fct_sessions",
                          "--from", "dim_leads"],
    "no key": ["model", "growth_leads_daily", "--from", "dim_leads", "--key", "channel"],
    "no such day": ["model", "growth_leads_daily", "--from", "dim_leads", "--by-day", "created_on"],
    "metric": ["metric", "new_refunds", "--from", "fct_refunds", "--agg", "count", "--yes"],
    "metric on a measure": ["metric", "leads_so_far", "--kind", "cumulative",
                            "--measure", "leads", "--to-date", "year", "--yes"],
    "metric again": ["metric", "leads_so_far", "--measure", "leads", "--yes"],
    "metric without sense": ["metric", "nonsense", "--kind", "conversion",
                             "--base", "sign_ups", "--conversion", "leads", "--entity", "channel",
                             "--window", "3 days", "--yes"],
    "ratio": ["metric", "refunds_a_sign_up", "--kind", "ratio", "--numerator", "new_refunds",
              "--denominator", "sign_ups", "--yes"],
    "a part that is not there": ["metric", "x", "--kind", "ratio", "--numerator", "sing_ups",
                                 "--denominator", "leads"],
}  # fmt: skip
ALL = """
import json, sys
from contextlib import closing
from click.testing import CliRunner
from cli.main import sluice
from warehouse.settings import settings
said = {}
broken = settings().dbt_project_dir / "models" / "raw" / "crm.yml"
text = broken.read_text()
broken.write_text(text.replace("format: csv", "format csv", 1))
done = CliRunner().invoke(sluice, ["status"])
said["status"] = [done.output, str(done.exception)]
done = CliRunner().invoke(sluice, ["status", "--json"])
told = json.loads(done.stdout)
said["status_json"] = [done.exit_code, told["project"], told["connectors"]]
broken.write_text(text)
for name, words in json.loads(sys.argv[1]).items():
    done = CliRunner().invoke(sluice, ["new", *words])
    said[name] = [done.exit_code, f"{done.output}{done.exception or ''}"]
from catalog.catalog import load_catalog
from quality.checks import problems
from quality.evaluate import evaluate
from warehouse import dbt
from warehouse.errors import SluiceError
from warehouse.workshop import connect
built = dbt.run(settings(), ["build", "--select", sys.argv[2]])
said["built"] = [[each.unique_id.split(".")[0], each.status] for each in built.nodes]
catalog = load_catalog(settings())
said["faults"] = [str(each) for each in problems(catalog)]
keys = ["curated." + sys.argv[2], "curated.fct_sessions"]
with closing(connect(settings())) as workshop:
    verdicts = evaluate(settings(), catalog, workshop, keys)
    said["gates"] = [[key, check.name, check.outcome]
                     for key, each in zip(keys, verdicts) for check in each.checks]
    said["rows"] = workshop.execute(
        "select count(*), count(industry), (select count(*) from curated.fct_sessions) "
        "from curated." + sys.argv[2]
    ).fetchall()[0]
folder = settings().dbt_project_dir / "models" / "curated" / "product"
yml, sql = folder / f"{sys.argv[2]}.yml", folder / f"{sys.argv[2]}.sql"
texts = {each: each.read_text() for each in (yml, sql)}
said["wrong"] = {}
for name, (kind, *changes) in json.loads(sys.argv[3]).items():
    for file, text in texts.items():
        for now, wrong in changes if file.suffix == kind else ():
            assert now in text, now
            text = text.replace(now, wrong, 1)
        file.write_text(text)
    try:
        command = "test" if kind == ".yml" else "run"
        found = dbt.run(settings(), [command, "--select", sys.argv[2]]).nodes
        said["wrong"][name] = [each.message for each in found if each.status in ("error", "fail")]
    except SluiceError as error:
        said["wrong"][name] = [str(error)]
[file.write_text(text) for file, text in texts.items()]
dbt.ensure_manifest(settings())
yml.write_text(texts[yml].replace("[unique, not_null]", "[unqiue, not_null]"))
try:
    dbt.ensure_manifest(settings())
except SluiceError:
    yml.write_text(texts[yml])
    said["undone"] = "unqiue" not in dbt.ensure_manifest(settings()).read_text()
print(json.dumps(said))
"""
WRONG = {
    "tests": (
        ".yml",
        ("[unique, not_null]", "[{accepted_values: {arguments: {values: [x]}}}]"),
        ('expect:\n      rows:\n        - {session_id: "',
         'expect:\n      rows:\n        - {session_id: "not '),
    ),
    "a kind of test": (".yml", ("[unique, not_null]", "[unqiue, not_null]")),
    "YAML": (".yml", ("    description: One", "    description One")),
    "SQL": (".sql", ("select * from {{", "select * form {{")),
    "a reference": (".sql", ("ref('fct_sessions')", "ref('fct_sesions')")),
}  # fmt: skip
"""What is written wrongly there, one fault after the other."""
HERE = f"dbt_project/models/curated/product/{MODEL}"


@dataclass(frozen=True)
class Written:
    """What the commands said, and what came of what they wrote."""

    house: Copy
    said: Mapping[str, tuple[int, str]]
    built: list[list[str]]
    faults: list[str]
    gates: list[list[str]]
    rows: list[int]
    wrong: Mapping[str, list[str]]
    status: tuple[str, str]
    status_json: list[object]
    undone: bool = False


@pytest.fixture(scope="module")
def written(module_demo: Sluice) -> Written:
    folder = module_demo.folder
    house = copy_house(folder / "house", module_demo.environment, folder / "data")
    said = json.loads(
        house("-c", NO_PROMPT + ALL, json.dumps(COMMANDS), MODEL, json.dumps(WRONG)).splitlines()[
            -1
        ]
    )
    return Written(house, {name: tuple(said.pop(name)) for name in COMMANDS}, **said)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("tests", [" rows\n", f"in {HERE}.yml, column session_id", "differs from expected",
                   f"in {HERE}.yml"]),
        ("a kind of test", [f"{HERE}.yml, column session_id: there is no test `unqiue`. Did you "
                            "mean unique?", f"→ Correct {HERE}.yml, then run again."]),
        ("YAML", ["near line 6", f"→ Correct {HERE}.yml, then run again."]),
        ("SQL", ["select * form", f"in {HERE}.sql:9 "]),
        ("a reference", ["fct_sesions", f"→ Correct {HERE}.sql, then run again."]),
    ],
)  # fmt: skip
def test_what_dbt_refuses_is_told_with_the_file_to_open(
    written: Written, fault: str, said: list[str]
) -> None:
    told = "\n\n".join(written.wrong[fault])
    assert [each for each in said if each not in told] == [], told
    assert len(written.wrong[fault]) == (2 if fault == "tests" else 1)
    assert all(HERE in each for each in written.wrong[fault])


def test_status_tells_what_it_can_while_the_project_cannot_be_read(written: Written) -> None:
    told, fault = written.status
    assert "Published: snapshot " in told
    assert re.search(r"Gates: \d{3} open", told) and "Quarantine (" in told
    assert "→ Correct dbt_project/models/raw/crm.yml, then run again." in fault
    code, project, connectors = written.status_json
    assert (code, connectors) == (1, None) and "models/raw/crm.yml" in str(project)


def test_a_manifest_of_what_was_refused_is_not_kept(written: Written) -> None:
    assert written.undone


def test_a_model_is_built_tested_and_gated_at_once(written: Written) -> None:
    code, said = written.said["model"]
    assert code == 0, said
    kinds = {kind for kind, _ in written.built}
    assert kinds == {"model", "test", "unit_test"}
    assert {status for _, status in written.built} <= {"success", "pass"}, written.built
    rows, joined, sessions = written.rows
    assert rows == sessions and 0 < joined <= rows
    place = f"dbt_project/models/curated/product/{MODEL}"
    [model] = yaml.safe_load(written.house.text(f"{place}.yml"))["models"]
    columns = {each["name"]: each for each in model["columns"]}
    assert columns["region"]["description"].startswith("The part of the world")
    assert model["config"]["contract"] == {"enforced": True}
    assert "where {{ within_touched('started_on') }}" in written.house.text(f"{place}.sql")


def test_checks_hold_today_and_were_seen_to_fail_on_bad_data(written: Written) -> None:
    code, said = written.said["check"]
    assert code == 0, said
    assert said.count("closes the gate") == 3 and "left out" not in said
    assert written.faults == []
    outcomes = {(dataset, name): outcome for dataset, name, outcome in written.gates}
    assert outcomes["curated.fct_sessions", "invalid of platform"] == "pass"
    assert set(outcomes.values()) == {"pass"}, outcomes
    # What stood in the file stands in it still.
    before = (PROJECT_ROOT / "quality/checks/curated/fct_sessions.yml").read_text()
    assert written.house.text("quality/checks/curated/fct_sessions.yml").startswith(before)


def test_metrics_answer_at_once(written: Written) -> None:
    for name in ("metric", "metric on a measure", "ratio"):
        code, said = written.said[name]
        assert code == 0 and "Its first answer, by" in said, said
    metrics = "dbt_project/models/metrics"
    assert "ref('fct_refunds')" in written.house.text(f"{metrics}/refunds.yml")
    before = (PROJECT_ROOT / f"{metrics}/acquisition.yml").read_text()
    assert written.house.text(f"{metrics}/acquisition.yml").startswith(before)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("check again", "Nothing is to be added"),
        ("check of no column", "has no column statsu"),
        ("model again", "exists already"),
        ("a mart of staging", "is not for marts"),
        ("no key to join by", "cannot be joined by itself"),
        ("no key", "channel is no key"),
        ("no such day", "is built in no days"),
        ("metric again", "exists already"),
        ("metric without sense", "Nothing was kept"),
        ("a part that is not there", "Did you mean sign_ups"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    written: Written, name: str, why: str
) -> None:
    code, said = written.said[name]
    assert code == 1 and why in said, said
    models = written.house.folder / "dbt_project" / "models"
    assert not list(models.rglob("growth_leads_daily*"))
    assert written.house.text("dbt_project/models/metrics/accounts.yml") == (
        (PROJECT_ROOT / "dbt_project/models/metrics/accounts.yml").read_text()
    )


def test_what_is_written_passes_lint(written: Written) -> None:
    models, checks = "dbt_project/models", "quality/checks/curated"
    written.house(
        "-m", "yamllint", "--strict", f"{models}/curated/product/{MODEL}.yml",
        f"{models}/metrics/refunds.yml", f"{models}/metrics/acquisition.yml",
        f"{checks}/{MODEL}.yml", f"{checks}/fct_sessions.yml",
    )  # fmt: skip


def test_a_dry_run_writes_nothing(written: Written) -> None:
    assert "+  - name: status" in written.said["check of one column"][1]
    assert written.house.text("quality/checks/curated/dim_leads.yml") == (
        (PROJECT_ROOT / "quality/checks/curated/dim_leads.yml").read_text()
    )


def test_a_check_that_bad_data_passes_is_not_written() -> None:
    """Proven on a table of two rows: what is spoilt must be noticed."""
    check = ProposedCheck("range", "invalid", "select 1", "n", {"valid_min": 0})
    sharp = ProposedCheck("range", "invalid", "update $copy set n = -1", "n", {"valid_min": 0})
    column = Column("n", "bigint", "", "internal")
    dataset = Dataset(
        "curated.few", "", "curated", "curated", "few", "", "", 3, "internal", (column,), {}, (),
        False, "table", "", (), frozenset(),
    )  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute("create schema curated")
        connection.execute("create table curated.few as select 1::bigint as n")
        catalog = Catalog({dataset.key: dataset}, {}, {})
        found = [prove(catalog, dataset, [each], connection, "")[0] for each in (check, sharp)]
    assert [(each.holds, each.is_sharp) for each in found] == [(True, False), (True, True)]
