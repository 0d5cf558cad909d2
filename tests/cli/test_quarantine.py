"""`sluice quarantine` on the demo: what was not understood can be looked at."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

from platform_under_test import Sluice

from warehouse import platform_log
from warehouse.workshop import connect, writing

ADDRESS = re.compile(r"[\w.]+@[\w.]+")


def test_it_is_counted_by_entity_and_reason(module_demo: Sluice) -> None:
    listed: Any = module_demo.json("quarantine", "list", "crm")
    assert {(each["entity"], each["column"]) for each in listed} == {
        ("leads", "channel"), ("leads", "created_at"),
    }  # fmt: skip
    status: Any = module_demo.json("status")
    [leads] = [each for each in status["quarantine"] if each["entity"] == "leads"]
    assert sum(each["rows"] for each in listed) == leads["rows"]
    text = module_demo("quarantine", "list").stdout
    assert "channel is required and missing" in text and "sluice quarantine show" in text
    told = module_demo("quarantine", "list", "events", "--since", "2999-01-01").stdout
    assert "No row of events is in quarantine since 2999-01-01" in told
    wrong = module_demo("quarantine", "list", "crm.leds", code=2).stderr
    assert "Did you mean crm.leads?" in wrong


def test_rows_are_shown_with_their_place_and_nothing_personal(module_demo: Sluice) -> None:
    text = module_demo("quarantine", "show", "crm.leads", "--limit", "50").stdout
    assert "channel is required and missing" in text and "created_at=2025-13-45T99" in text
    assert "email=" in text and not ADDRESS.search(text)
    assert "sluice replay crm --quarantine" in text and "sluice set-aside crm/leads/" in text
    some: Any = module_demo.json("quarantine", "show", "events", "--reason", "JSON", "--limit", "2")
    assert [each["reason"] for each in some] == ["the line is not valid JSON"] * 2
    for each in some:
        lines = (Path(module_demo.settings.landing_url) / each["file"]).read_text().split("\n")
        content = lines[each["row_number"] - 1]
        assert each["values"]["event_id"] in content and each["hidden_characters"] > 0


def test_whoever_reads_in_clear_says_why_and_is_logged(module_demo: Sluice) -> None:
    clear = ("quarantine", "show", "crm", "--audience", "privileged", "--limit", "1")
    assert "without a reason" in module_demo(*clear, code=2).stderr
    told = module_demo(*clear, "--because", "a lead asked", "--by", "ada", "--json").stdout
    assert ADDRESS.search(json.loads(told)[0]["content"])
    event = platform_log.newest(module_demo.settings, "access")
    assert event is not None and event["tables"] == ["raw.crm.leads"]
    assert (event["by"], event["because"]) == ("ada", "a lead asked")


def test_while_a_run_writes_it_says_who_does(module_demo: Sluice) -> None:
    here = module_demo.settings
    with writing(here, "sluice run"), closing(connect(here)):
        told = module_demo("quarantine", "show", code=3).stderr
    assert f"{here.landing_url}/platform/loads" in told
    assert "which sluice run (pid " in told and "Ask again when it has ended" in told
