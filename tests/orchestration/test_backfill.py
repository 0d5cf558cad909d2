"""A backfill, killed on its way beside the daily work, ends with the rows of a full build."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import pytest
from crash.company import Company
from platform_under_test import Sluice
from warm import Warm

from orchestration.backfill_plan import Standing, standing
from warehouse import backfills, snapshots, versions
from warehouse.platform_log import read_newest_first
from warehouse.workshop import connect

SESSIONS = "fct_sessions"
BELOW = "product_sessions_daily"
HELD = ("curated." + SESSIONS, "marts." + BELOW)


@dataclass(frozen=True)
class Backfilled:
    company: Company
    before: dict[str, str]

    def sluice(self, *arguments: str, code: int = 0) -> str:
        return self.company(*arguments, code=code).output

    def change(self, *statements: str) -> None:
        with closing(connect(self.company.settings)) as workshop:
            for statement in statements:
                workshop.execute(statement)

    def rows(self) -> dict[str, str]:
        with closing(connect(self.company.settings)) as workshop:
            return {
                key.partition(".")[2]: versions.fingerprint(workshop, each)
                for key, each in versions.relations(workshop).items()
                if key.endswith(HELD)
            }

    def standing(self) -> Standing:
        return standing(self.company.settings, "last")

    def steps(self) -> list[str]:
        return [each.kind for each in self.standing().plan.steps]

    def shown(self) -> dict[str, snapshots.PublishedTable]:
        found = snapshots.current(self.company.settings)
        assert found is not None
        return {each.name: each for each in found.tables}


@pytest.fixture(scope="module")
def here(module_demo: Sluice, warm: Warm) -> Backfilled:
    company = Company(module_demo.folder, warm)
    return Backfilled(company, Backfilled(company, {}).rows())


def as_if_built_otherwise(here: Backfilled) -> None:
    """Another definition, and its rows: both are what a change of the model leaves."""
    here.change(
        f"update platform.builds set definition = 'older' where dataset = '{HELD[0]}'",
        f"update curated.{SESSIONS} set event_count = event_count + 1",
    )


def test_a_plan_says_what_it_would_do_and_is_refused_once_it_does_not_fit(
    here: Backfilled,
) -> None:
    refused = here.sluice("backfill", "plan", "--source", "platform", code=2)
    assert "is about the platform itself" in refused and "sluice replay platform" in refused
    as_if_built_otherwise(here)
    said = here.sluice("backfill", "plan", "--change")
    assert f"{HELD[0]}: its definition has changed" in said
    assert "aside (2025-01-0" in said and "Expected from the log: " in said
    assert f"as they are until then: {SESSIONS}, {BELOW}." in said
    assert here.steps() == ["parts", "parts", "take", "rest"]
    here.change(f"update platform.builds set definition = 'other' where dataset = '{HELD[0]}'")
    refused = here.sluice("backfill", "run", code=1)
    assert "does not fit any more" in refused and "sluice backfill plan --change" in refused
    assert here.standing().state == "planned"


def test_killed_and_carried_on_beside_a_daily_run_it_ends_with_the_rows_of_a_full_build(
    here: Backfilled,
) -> None:
    as_if_built_otherwise(here)
    ended = here.company.killed_at("build.built", "backfill", "run")
    assert "takes over what was built aside" in ended.output
    assert (here.standing().state, here.standing().done) == ("under way", 2)
    # Nobody else builds or publishes what it holds; the rest of the day's work goes on.
    assert "✓ 0 of " in here.sluice("run")
    here.sluice("run", "--select", "growth_funnel_monthly")
    shown = here.shown()
    assert shown["growth_funnel_monthly"].state == "fresh"
    for name in (SESSIONS, BELOW):
        assert "backfill " in shown[name].reason and shown[name].state != "fresh"
    said = here.sluice("backfill", "run")
    assert "step 1 of" not in said and "step 3 of 4 (about " in said
    assert here.rows() == here.before
    assert {here.shown()[name].state for name in (SESSIONS, BELOW)} == {"fresh"}
    assert set(here.company.gates().values()) == {"open"}
    events = [each["event"] for each in read_newest_first(here.company.settings, "backfills")]
    assert events[:6] == ["ended", "step", "step", "step", "step", "started"]
    with closing(connect(here.company.settings)) as workshop:
        assert not backfills.held(workshop)
    assert "has ended" in here.sluice("backfill", "run", code=1)


def test_a_stopped_backfill_holds_nothing_and_its_days_are_due(here: Backfilled) -> None:
    here.change(
        f"update curated.{SESSIONS} set event_count = 0 where started_on >= date '2026-03-20'"
    )
    here.sluice("backfill", "plan", "--model", SESSIONS, "--from", "2026-03-20", "--step", "60")
    assert here.steps() == ["days", "rest"]
    here.company.killed_at("build.marked", "backfill", "run")
    here.sluice("backfill", "stop")
    assert here.standing().state == "stopped"
    said = here.sluice("run", "--select", SESSIONS)
    assert f"older than what it reads: {BELOW}; `sluice run` builds what is due" in said
    assert here.rows() == here.before
