"""`sluice check` on a checkout of its own: which changes may be merged."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from catalog.changes import is_fix
from warehouse.settings import PROJECT_ROOT

LEFT = shutil.ignore_patterns(".git", ".venv", "data", ".dagster", "*_cache", "target", "results")
MART = "dbt_project/models/marts/finance/finance_mrr_daily.sql"


@dataclass(frozen=True)
class Checkout:
    folder: Path

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"]
        subprocess.run(["git", *who, *words], cwd=self.folder, check=True, capture_output=True)

    def commit(self, subject: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-m", subject)

    def change(self, file: str) -> None:
        path = self.folder / file
        path.write_text(path.read_text() + "\n-- Said more clearly.\n")

    def check(self, *options: str, budgets: list[dict[str, Any]] | None = None) -> tuple[int, Any]:
        return self.ask("check", "--base", "main", *options, budgets=budgets)

    def ask(self, *words: str, budgets: list[dict[str, Any]] | None = None) -> tuple[int, Any]:
        told = self.folder.parent / "budgets.json"
        told.write_text(json.dumps(budgets or []))
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words, "--json"],
            cwd=self.folder, capture_output=True, text=True,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "SLUICE_ERROR_BUDGETS": str(told),
                 "SLUICE_DATA_DIR": str(self.folder.parent / "data")},
        )  # fmt: skip
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    folder = tmp_path_factory.mktemp("check") / "sluice"
    shutil.copytree(PROJECT_ROOT, folder, ignore=LEFT)
    found = Checkout(folder)
    found.git("init", "-b", "main")
    found.commit("Start")
    found.git("checkout", "-b", "change")
    return found


def budget(key: str, *, is_spent: bool) -> dict[str, Any]:
    return {
        "dataset_key": key, "indicator": "pass_rate", "owner": "finance", "tier": 1,
        "objective": 0.99, "attained": 0.95 if is_spent else 0.995,
        "spent_share": 5.0 if is_spent else 0.5, "is_spent": is_spent,
    }  # fmt: skip


def test_a_dataset_whose_error_budget_is_spent_takes_fixes_only(checkout: Checkout) -> None:
    spent = [budget("marts.finance_mrr_daily", is_spent=True)]
    checkout.change(MART)
    code, told = checkout.check(budgets=spent)
    assert (code, told["changed"]) == (4, ["marts.finance_mrr_daily"])
    [fault] = told["faults"]
    assert "pass_rate 95.00%, promised 99.00%" in fault["what"] and MART in fault["what"]
    assert checkout.check("--fix", budgets=spent)[0] == 0
    assert checkout.check(budgets=[budget("marts.finance_mrr_daily", is_spent=False)])[0] == 0
    assert checkout.check(budgets=[budget("marts.accounts_overview", is_spent=True)])[0] == 0

    checkout.commit("Say it more clearly")
    assert checkout.check(budgets=spent)[0] == 4
    checkout.git("commit", "--amend", "-m", "fix: MRR counted a day twice")
    assert checkout.check(budgets=spent)[0] == 0


def test_a_check_file_that_cannot_be_read_speaks_against_the_change(checkout: Checkout) -> None:
    path = checkout.folder / "quality/checks/marts/finance_mrr_daily.yml"
    before = path.read_text()
    path.write_text(before.replace("- metric:", "- metrik:", 1))
    code, told = checkout.check()
    path.write_text(before)
    assert code == 4
    [fault] = told["faults"]
    assert re.search(r"finance_mrr_daily\.yml:\d+: .*did you mean `metric`", fault["what"])


@pytest.mark.parametrize(
    ("subject", "mends"),
    [
        ("fix: a day was counted twice", True),
        ("Fix(mrr): a day was counted twice", True),
        ("Revert \"Count days twice\"", True),
        ("Fixtures for the tests", False),
        ("Add a fix", False),
        ("", False),
    ],
)  # fmt: skip
def test_a_commit_says_of_itself_that_it_mends(subject: str, mends: bool) -> None:
    assert is_fix(subject) is mends


LEAKING = {
    "macros/shouting.sql": "{% macro shouting(column) %}upper({{ column }} || '!'){% endmacro %}",
    "models/marts/growth/growth_people.sql": (
        "{{ config(materialized='ephemeral', access='protected') }}"
        " select user_id, {{ shouting('email') }} as shouted from {{ ref('stg_app__users') }}"
    ),
    "models/marts/growth/growth_contacts.sql": (
        "select people.user_id as visitor, people.shouted as label,"
        " {{ anonymise_truncate('people.shouted', 90) }} as cut,"
        " {{ anonymise_hash('people.shouted') }} as hashed"
        " from {{ ref('growth_people') }} as people"
    ),
    "models/marts/growth/growth_contacts.yml": (
        "models: [{name: growth_contacts, columns: [{name: visitor}, {name: label}, {name: cut},"
        " {name: hashed}]}]"
    ),
}  # fmt: skip


def test_a_column_that_is_classified_lower_than_what_reaches_it_is_refused_with_the_way_there(
    checkout: Checkout,
) -> None:
    project = checkout.folder / "dbt_project"
    metrics = project / "models/metrics/accounts.yml"
    before = metrics.read_text()
    for file, text in LEAKING.items():
        (project / file).write_text(text)
    people = (
        "semantic_models:\n  - name: people\n    model: ref('growth_contacts')\n"
        "    entities: [{name: contact, type: primary, expr: label}]\n"
    )
    metrics.write_text(before.replace("semantic_models:\n", people, 1))
    contract = project / "models/raw/crm.yml"
    promised = contract.read_text()
    # Of leads, the first table: said here, because a check takes its time.
    contract.write_text(promised.replace("on_drift: evolve", "on_drift: freeze", 1))
    code, told = checkout.check()
    for file in LEAKING:
        (project / file).unlink()
    metrics.write_text(before)
    assert code == 4
    about = [each["what"] for each in told["faults"] if each["dataset"] == "marts.growth_contacts"]
    staging = "dbt_project/models/staging/app/stg_app__users.sql"
    source = "raw.app.users.email (dbt_project/models/raw/app.yml)"
    [fault] = [each for each in about if each.startswith("label is declared internal")]
    assert "is personal: marts.growth_contacts.label" in fault and "so is cut" in fault
    assert f"staging.stg_app__users.email ({staging}) ← {source}" in fault
    assert any("entities of semantic model people show what is personal" in each for each in about)
    assert len(about) == 2, about
    [broken] = [each for each in told["faults"] if each["dataset"] == "raw.crm.leads"]
    assert "(evolve → freeze)" in broken["what"] and "growth" in broken["what"]

    code, told = checkout.ask("contract", "check", "crm", "--against", "main")
    [difference] = told["differences"]
    assert (code, told["verdict"], difference["rule"]) == (4, "breaking", "drift_tightened")
    assert {"staging.stg_crm__leads", "curated.dim_leads"} <= set(difference["datasets"])
    assert "leads" in difference["metrics"] and "growth" in difference["owners"]
    checkout.commit("Hold the CRM to its columns\n\nBreaks-contract: crm.leads agreed with growth")
    code, told = checkout.ask("contract", "check", "--against", "main")
    assert (code, told["verdict"], told["agreed"]) == (0, "breaking", ["crm.leads"])
    contract.write_text(promised.replace("format: csv", "format: jsonl", 1))
    told = checkout.ask("contract", "check", "--against", str(contract))
    assert told == (0, {"verdict": "compatible", "differences": [], "agreed": []})
    contract.write_text(promised)
