"""What a run mends by itself, and that it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
from crash.company import Company
from platform_under_test import Sluice
from warm import Warm

from warehouse.platform_log import read_newest_first
from warehouse.settings import PROJECT_ROOT
from warehouse.workshop import connect

DAYS = ("2026-01-05", "2026-02-03", "2026-02-04")
EVENTS = "staging.stg_events__product_events"

# Opens the workshop as a person might who looks into it, and keeps it until told to stop.
HOLDER = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True):
    print("open", flush=True)
    sys.stdin.readline()
"""


def heals(sluice: Sluice) -> dict[str, dict[str, Any]]:
    events = read_newest_first(sluice.settings, "heals")
    return {event.get("dataset") or event["what"]: event for event in events}


def per_day(sluice: Sluice, relation: str, day: str) -> list[Any]:
    with closing(connect(sluice.settings, read_only=True)) as workshop:
        return workshop.execute(
            f"select {day}, count(*) from {relation} group by all order by all"
        ).fetchall()


def test_lost_days_and_explained_quarantine_are_mended_by_the_next_run(
    own_demo: Sluice, warm: Warm
) -> None:
    company = Company(own_demo.folder, warm)
    before = per_day(own_demo, EVENTS, "occurred_on")
    children = per_day(own_demo, "curated.fct_feature_usage_daily", "used_on")
    lose_days(own_demo)
    quarantine_a_good_row(own_demo)
    run = company(
        "run", "-s", "source:billing", "-s", "stg_events__product_events",
        "-s", "fct_feature_usage_daily",
    )  # fmt: skip
    assert "✓ healed billing.payments: 1 quarantined rows fit its changed contract" in run.output
    assert f"✓ healed {EVENTS}: 3 days (2026-01-05 to 2026-02-04) held 0 rows where" in run.output
    assert per_day(own_demo, EVENTS, "occurred_on") == before
    assert per_day(own_demo, "curated.fct_feature_usage_daily", "used_on") == children
    found = heals(own_demo)
    lost = {str(day): count for day, count in before}
    assert found[EVENTS]["what"] == "backfilled"
    assert found[EVENTS]["row_count"] == sum(lost[day] for day in DAYS)
    assert found["raw.billing.payments"]["row_count"] == 1
    again = company("run", "-s", "stg_events__product_events")
    assert "healed" not in again.output


def lose_days(sluice: Sluice) -> None:
    with closing(connect(sluice.settings)) as workshop:
        listed = ", ".join(f"date '{day}'" for day in DAYS)
        workshop.execute(f"delete from {EVENTS} where occurred_on in ({listed})")
        [[left]] = workshop.execute(
            f"select count(*) from {EVENTS} where occurred_on in ({listed})"
        ).fetchall()
        assert left == 0


def quarantine_a_good_row(sluice: Sluice) -> None:
    """As if an older contract had not known what it is."""
    with closing(connect(sluice.settings)) as workshop:
        [(batch, file, number)] = workshop.execute(
            "select _batch_id, _source_file, _row_number from raw_billing.payments"
            " order by all desc limit 1"
        ).fetchall()
        line = (Path(sluice.settings.landing_url) / file).read_text().splitlines()[number - 1]
        assert json.loads(line)
        workshop.execute(
            "delete from raw_billing.payments where _source_file = ? and _row_number = ?",
            [file, number],
        )
        workshop.execute(
            "insert into raw_ledger.quarantine (batch_id, source, entity, file, row_number, reason,"
            " content, quarantined_at)"
            " values (?, 'billing', 'payments', ?, ?, 'unknown', ?, now())",
            [batch, file, number, line],
        )
        workshop.execute(
            "update raw_ledger.contracts set fingerprint = 'older' where entity = 'payments'"
        )


def test_a_workshop_that_is_open_elsewhere_is_tried_again_and_the_run_goes_through(
    own_demo: Sluice,
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(own_demo.settings.workshop_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdin is not None
    holder.stdout.readline()
    run = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "run", "-s", "source:crm"],
        cwd=PROJECT_ROOT, env=dict(own_demo.environment), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    printed = ""
    assert run.stdout is not None
    for line in run.stdout:
        printed += line
        if "trying again" in line:
            holder.communicate("let go\n")
    assert run.wait() == 0, printed
    assert "✗ load crm: The workshop" in printed and "trying again (1 of 2)" in printed
    assert "✓ healed load crm: attempt 2 went through" in printed
    assert heals(own_demo)["retried"]["because"] == "load crm crashed 1 time before"


def test_a_contract_that_nobody_can_load_by_is_not_tried_again(own_demo: Sluice) -> None:
    with duckdb.connect(str(own_demo.settings.workshop_path)) as workshop:
        workshop.execute("alter table raw_crm.leads drop column lead_id")
        workshop.execute("alter table raw_crm.leads add column lead_id bigint")
    run = own_demo("run", "-s", "source:crm", code=4)
    assert "trying again" not in run.stdout
    assert "✗ load crm: raw_crm.leads.lead_id holds bigint" in run.stdout
    assert "sluice replay crm" in run.stdout
