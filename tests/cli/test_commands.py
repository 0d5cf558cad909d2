"""The front door, as a person and as a script use it."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from platform_under_test import Demo, sluice_in

from cli.doctor import CHECKS
from cli.main import sluice as root

NARROW = 62
"""So much room a terminal of 80 columns leaves to a command's first sentence."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize("path", commands(root), ids=" ".join)
def test_every_command_says_what_it_does(path: tuple[str, ...]) -> None:
    command: click.Command = root
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert command.help and len(command.help) > 20
    short = command.get_short_help_str(NARROW)
    assert not short.endswith("..."), f"In a list of commands this is cut: {short}"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in {"help", "limit", "seed"}:
            plain = parameter.help or isinstance(parameter.type, click.Choice)
            assert plain, f"{' '.join(path)} {parameter.name}"


def test_the_demo_prints_key_figures_and_where_to_look_next(demo: Demo) -> None:
    for word in ("MRR", "Done in", "sluice status", "make up", "✓ publish"):
        assert word in demo.output
    assert "✗" not in demo.output


def test_no_colour_code_reaches_a_pipe(demo: Demo) -> None:
    assert "\x1b[" not in demo.output


def test_status_says_what_is_published_closed_and_quarantined(demo: Demo) -> None:
    status: Any = demo.sluice.json("status")
    assert status["gates"]["shut"] == [] and status["gates"]["never_built"] == 0
    assert status["published"]["stale"] == [] and status["published"]["tables"] > 20
    assert status["quarantine"] and status["writer"] is None
    assert status["incidents"] == {
        "open": 0, "worst_tier": None, "oldest_opened_at": None, "not_acknowledged": 0,
    }  # fmt: skip
    assert [each["last_at"] for each in status["connectors"]] == [None] * 4
    text = demo.sluice("status").stdout
    assert "Published: snapshot" in text and "0 closed" in text


def test_query_answers_as_table_json_and_csv(demo: Demo) -> None:
    sql = "select sum(mrr_usd_amount) as mrr from finance_mrr_daily where day_on = '2026-03-31'"
    rows: Any = demo.sluice.json("query", sql)
    assert float(rows[0]["mrr"]) > 0
    printed = list(csv.reader(io.StringIO(demo.sluice("query", sql, "--csv").stdout)))
    assert printed == [["mrr"], [rows[0]["mrr"]]]
    assert "mrr" in demo.sluice("query", sql).stdout


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select * from finance_mrr_dayly", "Did you mean finance_mrr_daily?"),
        ("select * from raw_billing.payments", "sluice quarantine show billing"),
        ("select * from raw_ledger.quarantine", "sluice quarantine list"),
        ("select * from curated.fct_payments", "curated is not published"),
        ("drop table finance_mrr_daily", "read"),
        ("select * from read_csv('/etc/passwd')", ""),
    ],
)
def test_query_refuses_in_plain_words(demo: Demo, sql: str, said: str) -> None:
    answer = demo.sluice("query", sql, code=2)
    assert said in answer.stderr and "Traceback" not in answer.stderr and "→" in answer.stderr


def test_metrics_are_found_by_words_and_answer_with_their_units(demo: Demo) -> None:
    listed: Any = demo.sluice.json("metrics", "list", "churn", "rate", "--owner", "finance")
    assert {each["name"] for each in listed} == {"logo_churn_rate", "revenue_churn_rate"}
    told = demo.sluice("metrics", "list", "account", "feature").stdout.splitlines()[-1]
    assert told.endswith("query account_feature_adoption_rate --by month --by feature")
    assert "None of " in demo.sluice("metrics", "list", "no-such-word").stdout
    assert "Did you mean finance?" in demo.sluice("metrics", "list", "--owner", "finanz",
                                                  code=2).stderr  # fmt: skip
    asked = ("metrics", "query", "mrr", "nrr", "--by", "month")
    heading = demo.sluice(*asked).stdout.splitlines()[0]
    assert " ".join(heading.split()) == "month mrr (USD) nrr (ratio)"


@pytest.mark.parametrize(
    ("metric", "condition", "says"),
    [
        ("mrr", "plan=temm", "  plan is one of business, enterprise, starter, team"),
        ("mrr", "plan in temm,tim", "  plan is one of business, enterprise, starter, team"),
        # It must be grouped by step, and by week at the finest.
        ("funnel_step_rate", "step=foo", "  step is one of integration_connected, "),
        ("churned_mrr", "account=nobody", "  account has more than 20 values, and none that was"),
        ("churned_mrr", "plan=team", "ask for other times, or other values"),
        ("deploys", "is_fix=false", "ask for other times, or other values"),
    ],
)
def test_an_answer_without_rows_says_which_values_there_are(
    demo: Demo, metric: str, condition: str, says: str
) -> None:
    grain = "week" if metric == "funnel_step_rate" else "month"
    times = ["--end", "1999-01-01"] if "other times" in says else []
    told = demo.sluice("metrics", "query", metric, "--by", grain, "--where", condition, *times)
    assert told.stdout.startswith("No row fits") and says in told.stdout


def test_doctor_finds_a_sound_set_up_sound(demo: Demo) -> None:
    findings: Any = demo.sluice.json("doctor")
    assert [each["name"] for each in findings if not each["is_good"]] == []


def test_doctor_names_what_landed_where_no_contract_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in ("crm/leds/2026-03-01", "crm/leads", "crm/_cursors", "biling/invoices"):
        (tmp_path / "landing" / folder).mkdir(parents=True)
    monkeypatch.setenv("SLUICE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("cli.doctor.CHECKS", [each for each in CHECKS if each[0] == "landing"])
    told = CliRunner().invoke(root, ["doctor"]).output
    assert "crm; in no contract: biling, crm/leds" in told
    assert "Did you mean billing? Did you mean crm/leads?" in told


def test_one_fault_that_stops_several_looks_is_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLUICE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SLUICE_TARGET", "postgres")
    monkeypatch.setenv("SLUICE_POSTGRES", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setattr(
        "cli.doctor.CHECKS",
        [each for each in CHECKS if each[0] in ("workshop", "published", "telemetry")],
    )
    told = CliRunner().invoke(root, ["doctor"])
    assert told.output.count("    → ") == 1 and "✗ workshop: " in told.output
    assert "– published: not looked at (see workshop)" in told.output
    assert "✓ telemetry" in told.output and "1 fault found." in str(told.exception)


def test_doctor_names_a_wrong_setting_and_its_remedy(tmp_path: Path) -> None:
    told = sluice_in(tmp_path, SLUICE_KEEP_SNAPSHOTS="many")("doctor", code=2)
    text = told.stdout + told.stderr
    assert "SLUICE_KEEP_SNAPSHOTS" in text and "many" in text and "Traceback" not in text


def test_before_anything_is_there_each_command_says_how_to_begin(
    demo: Demo, tmp_path: Path
) -> None:
    empty = sluice_in(tmp_path)
    # All but what dbt has parsed, which takes seconds to do again.
    shutil.copytree(demo.sluice.settings.dbt_target_path, empty.settings.dbt_target_path)
    assert "sluice run" in empty("quarantine", "list", code=2).stderr
    assert "sluice run" in empty("published", "list").stdout
    asked = empty("query", "select 1", code=1)
    assert "sluice run" in asked.stderr
    assert "nothing yet" in empty("status").stdout
    assert "sluice simulate" in empty("simulate", "--next-day", code=1).stderr


def test_wrong_use_ends_with_2_and_names_the_choice(demo: Demo) -> None:
    told = demo.sluice("run", "--select", "finance_mrr_dayly", code=2)
    assert "Did you mean finance_mrr_daily?" in told.stderr
    for words, meant in (
        (("run", "--select", "source:biling"), "source:billing"),
        (("run", "--select", "layer:mart"), "layer:marts"),
        (("replay", "biling"), "billing"),
        (("metrics", "query", "mrrr"), "mrr"),
    ):
        assert f"Did you mean {meant}" in demo.sluice(*words, code=2).stderr
    assert "neither a time" in demo.sluice("query", "select 1", "--as-of", "soon", code=2).stderr
    assert demo.sluice("simulate", "--defect", "none-such", code=2).stderr
