"""People and incidents: what is open, one of them whole, and what people add to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from incident_company import REASON, Company, ago, closed, company, payments

from quality.runbooks import RUNBOOKS, WITHHELD, runbook
from serving.incidents import IncidentError, span, summary
from warehouse.errors import SluiceError
from warehouse.settings import PROJECT_ROOT

__all__ = ["company"]


def test_open_incidents_are_listed_first_with_age_owner_tier_and_reach(company: Company) -> None:
    old = closed(payments("0a11aaaa", opened_at=ago(days=9), reason="rows missing"), hours=3)
    company.publish(old, payments("3fa85f64"), payments("77777777", opened_at=ago(days=1)))
    text = company("list").stdout
    lines = text.splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["3fa85f64", "77777777"]
    for word in ("✗", "raw.billing.payments", "2 h", "finance", "2 datasets", REASON):
        assert word in lines[1]
    assert "0a11aaaa" not in text
    everything = company("list", "--all").stdout.splitlines()
    assert everything[3].split()[:2] == ["✓", "0a11aaaa"] and " 3 h " in everything[3]
    [first, _] = company.json("list")
    assert first["affected_datasets"] == ["curated.fct_payments", "marts.finance_revenue"]
    assert first["runbook"] == "docs/runbooks/check_failed.md"


def test_when_nothing_is_open_the_list_says_so(company: Company) -> None:
    company.publish(closed(payments(), hours=1))
    assert "No incident is open. 1 closed" in company("list").stdout
    assert company.json("list") == []
    assert summary(company.settings).open == 0


def test_before_there_is_a_table_of_incidents_the_way_to_it_is_named(company: Company) -> None:
    with pytest.raises(SluiceError, match="Nothing is published yet"):
        raise company("list", code=1).exception or AssertionError
    assert summary(company.settings).open == 0


def test_an_incident_is_shown_whole(company: Company) -> None:
    incident = payments()
    opened = incident["opened_at"]
    company.publish(incident)
    company.publish(incident, stale=("finance_revenue",))
    gate = {"key": "raw.billing.payments", "run_id": "run-1", "checks": []}
    company.event("gates", ago(days=2), **gate, state="open", reason="")
    company.event("loads", incident["arrived_at"], outcome="loaded", source="billing",
                  entity="payments", row_count=28, quarantined_count=3)  # fmt: skip
    company.event("loads", opened, outcome="loaded", source="crm", entity="leads", row_count=9)
    for minutes in (119, 60, 30):
        company.event("gates", ago(minutes=minutes), **gate, state="closed", reason=REASON)
        company.event("gates", ago(minutes=minutes - 1), **gate, state="pending", reason="run")
    company("ack", "3fa8", "--by", "Mira")
    text = company("show", "3f").stdout
    for shown in (
        "✗ 3fa85f64  raw.billing.payments  open for 2 h",
        f"what          {REASON}",
        "detected after 19 s",
        "owner         finance, tier 1",
        "affects       2 datasets: curated.fct_payments, marts.finance_revenue",
        "1 metric: collected_revenue",
        "consumers see finance_revenue: as it was at",
        "taken by      Mira",
        "runbook       docs/runbooks/check_failed.md",
        "billing.payments: 28 rows loaded, 3 quarantined",
        "1 table stays",
    ):
        assert shown in text
    assert "crm" not in text and "pending" not in text and "is open" not in text
    assert text.count(f"raw.billing.payments is closed: {REASON}") == 1
    shown = company.json("show", "3fa85f64")
    assert shown["detect_seconds"] == 19.0
    assert [each["what"] for each in shown["timeline"]] == [
        "arrival", "load", "gate", "publish", "acknowledged",
    ]  # fmt: skip
    assert [each["name"] for each in shown["stale_tables"]] == ["finance_revenue"]


def test_what_people_add_shows_at_once_and_is_never_edited(company: Company) -> None:
    company.publish(payments())
    assert "1 not acknowledged" in str(summary(company.settings))
    company("ack", "3fa8", "on my way", "--by", "Mira")
    again = company("ack", "3fa8", "--by", "Ben").stdout
    assert "before: Mira" in again
    company("note", "3fa8", "amounts are in cents since 05:00", "--by", "Ben")
    company("cause", "3fa8", "a release of the provider", "--by", "Ben")
    company("cause", "3fa8", "the provider sent cents", "--by", "Mira")
    shown = company.json("show", "3fa8")
    assert (shown["acknowledged_by"], shown["cause"]) == ("Mira", "the provider sent cents")
    assert [(each["fact"], each["by"]) for each in shown["facts"]] == [
        ("acknowledged", "Mira"), ("acknowledged", "Ben"), ("note", "Ben"), ("cause", "Ben"),
        ("cause", "Mira"),
    ]  # fmt: skip
    assert [each["text"] for each in company.log("incidents")][2:] == [
        "amounts are in cents since 05:00", "a release of the provider", "the provider sent cents",
    ]  # fmt: skip
    assert str(summary(company.settings)) == (
        "1 open, worst tier 1, the oldest for 2 h (`sluice incident list`)"
    )


def test_who_speaks_is_known_without_being_asked(company: Company) -> None:
    company.publish(payments())
    company("ack", "3fa8")
    [event] = company.log("incidents")
    assert event["by"].strip()


def test_an_id_that_fits_none_or_several_is_refused_with_the_way_on(company: Company) -> None:
    company.publish(payments("3fa85f64"), payments("3fb00000"))
    for words, message in (
        (["ack", "3f"], "2 incidents begin with 3f: 3fb00000 .* 3fa85f64 .*Give more"),
        (["show", "3fa85f65"], "no incident 3fa85f65.*Did you mean 3fa85f64"),
        (["note", "3fa", "  "], "The note of 3fa85f64 is empty"),
    ):
        error = company(*words, code=2).exception
        assert isinstance(error, IncidentError)
        with pytest.raises(IncidentError, match=f"(?s){message}"):
            raise error
    assert company.log("incidents") == []


def test_a_postmortem_begins_with_what_the_log_knows(company: Company, tmp_path: Path) -> None:
    incident = closed(payments(is_recurrence=True, recurrence_of="0a11aaaa"), hours=1, minutes=30)
    company.publish(incident)
    company.event("gates", incident["opened_at"], key="raw.billing.payments", state="closed",
                  reason="too high | by far")  # fmt: skip
    company("cause", "3fa8", "the provider sent cents", "--by", "Mira")
    company("postmortem", "3fa8", "--by", "Mira")
    [path] = (company.settings.data_dir / "postmortems").glob("*.md")
    assert path.name == f"{incident['opened_at']:%Y-%m-%d}-raw-billing-payments-3fa85f64.md"
    text = path.read_text()
    for filled in (
        "| time to detect | 19 s |",
        "| time to restore | 1 h 30 min |",
        "2 datasets held back: curated.fct_payments, marts.finance_revenue",
        "| gate | raw.billing.payments is closed: too high \\| by far |",
        "## Cause\nthe provider sent cents",
        "`docs/runbooks/check_failed.md`",
        "0a11aaaa was the same",
    ):
        assert filled in text
    path.write_text("written by people")
    error = company("postmortem", "3fa8", code=1).exception
    assert isinstance(error, IncidentError) and "there already" in str(error)
    assert path.read_text() == "written by people"
    company("postmortem", "3fa8", "--to", str(tmp_path / "elsewhere"))
    assert [each.name for each in (tmp_path / "elsewhere").iterdir()] == [path.name]
    assert [each["fact"] for each in company.log("incidents")] == [
        "cause", "postmortem", "postmortem",
    ]  # fmt: skip


def test_every_kind_of_closing_has_a_page_and_every_page_is_reached() -> None:
    pages = {path.name for path in (PROJECT_ROOT / "docs" / "runbooks").glob("*.md")}
    # What no gate's closing tells of.
    others = {"fetch_failed.md", "warehouse_is_gone.md"}
    assert set(RUNBOOKS.values()) | {WITHHELD} | others == pages
    for kind in RUNBOOKS:
        text = (PROJECT_ROOT / runbook(kind)).read_text()
        for heading in ("**What you see.**", "**What it means.**", "## Look", "## Mend",
                        "## It is over when"):  # fmt: skip
            assert heading in text, f"{runbook(kind)} lacks {heading}"
    assert (PROJECT_ROOT / runbook("something new")).exists()


def test_lengths_of_time_are_said_as_people_say_them() -> None:
    spoken = [span(each) for each in (0.4, 59, 60, 3600, 3 * 3600 + 300, 86400, 100 * 3600)]
    assert spoken == ["0 s", "59 s", "1 min", "1 h", "3 h 5 min", "1 d", "4 d 4 h"]
