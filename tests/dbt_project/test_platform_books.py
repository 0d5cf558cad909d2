"""The platform's own marts and metrics hold against a story of which every second is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from platform_story import FACTS, ORDERS, RETURNS, SALES, VISITS, Log, play

from catalog.catalog import Catalog, load_catalog
from ingestion.load import load_source
from ingestion.replay import replay_source
from quality import gate
from quality.evaluate import evaluate
from serving.metrics import query
from warehouse import dbt
from warehouse.publish import PublicTable, publish
from warehouse.settings import Settings
from warehouse.workshop import connect

NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")


@dataclass(frozen=True)
class Platform:
    """A platform that knows its log and nothing else."""

    settings: Settings
    catalog: Catalog

    def build(self) -> None:
        with closing(connect(self.settings)) as connection:
            assert load_source(self.settings, connection, "platform").refused == ()
        select = ["--select", "source:platform+", "metrics_time_spine"]
        outcome = dbt.run(self.settings, ["build", *select, *NO_TESTS])
        assert outcome.success, [each for each in outcome.nodes if each.status == "error"]

    def publish(self) -> None:
        names = [each for each in self.catalog.public() if each.has_wall_clock]
        names.append(self.catalog["metrics.metrics_time_spine"])
        publish(self.settings, [PublicTable(each.name, each.relation, True) for each in names], "")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(connect(self.settings)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return Log(Settings(data_dir=tmp_path_factory.mktemp("platform"), landing=""))


@pytest.fixture(scope="module")
def platform(log: Log) -> Iterator[Platform]:
    settings = Settings(data_dir=log.root.parent.parent, landing="")
    play(log)
    told = Platform(settings, load_catalog(settings))
    told.build()
    told.publish()
    yield told


def incidents(platform: Platform, columns: str) -> list[tuple[Any, ...]]:
    return platform.rows(f"select {columns} from marts.platform_incidents order by opened_at")


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


def test_each_root_cause_is_one_incident_from_its_opening_to_the_first_pass(
    platform: Platform,
) -> None:
    found = incidents(platform, "dataset_key, kind, opened_at, closed_at, explained_closing_count")
    assert found == [
        (ORDERS, "check_failed", at(2, 4, 1), at(2, 10, 1), 2),
        # What went on after its explanation had ended is an incident of its own.
        (FACTS, "dbt_failed", at(2, 10, 3), at(3, 4, 3), 1),
        (RETURNS, "load_refused", at(5, 4, 0, 11), at(6, 4, 1), 2),
        (VISITS, "freshness", at(6, 18, 2), at(7, 4, 2), 0),
        # Left half-built by a killed run, and still so when the next one had ended.
        (SALES, "killed", at(6, 18, 5), at(7, 4, 2), 0),
        (ORDERS, "check_failed", at(8, 4, 1), None, 0),
    ]
    assert [row[0] for row in incidents(platform, "is_open")] == [False] * 5 + [True]


def test_detection_counts_from_the_arrival_and_restoration_from_the_opening(
    platform: Platform,
) -> None:
    found = incidents(platform, "arrived_at, detect_seconds::double, restore_seconds::double")
    assert found == [
        (at(2, 3, 0), 3660, 21600),
        (at(2, 10, 0, 30), 150, 64800),
        (at(5, 4, 0, 10), 1, 86449),
        (at(6, 18, 2), None, 36000),
        (at(6, 18, 5), None, 35820),
        (at(8, 4, 0, 30), 30, None),
    ]


def test_an_incident_says_whom_it_affects_and_how_much_is_at_stake(platform: Platform) -> None:
    columns = "tier, owner, affected_dataset_count, affected_metrics, affected_owners"
    first, _, refused, late, *_ = incidents(platform, f"{columns}, affected_datasets")
    assert first[:5] == (1, "shop", 4, "sales, sales_growth", "finance, shop")
    assert first[5].split(", ") == [
        *("curated.fct_order_totals", "curated.fct_orders", SALES, "staging.stg_shop__orders")
    ]
    # A refused file holds back all of its source, and what reads it.
    assert refused[2] == 6 and {ORDERS, "raw.shop.customers"} <= set(refused[5].split(", "))
    assert late[:5] == (2, "product", 1, None, "product")


def test_an_override_opens_the_gate_and_closes_no_incident(platform: Platform) -> None:
    found = incidents(platform, "dataset_key, overridden_at, overridden_by")
    assert [row for row in found if row[1]] == [(RETURNS, at(5, 6, 0), "ann")]


def test_the_same_trouble_within_ninety_days_is_a_recurrence(platform: Platform) -> None:
    found = incidents(platform, "incident_id, is_recurrence, recurrence_of")
    assert [row[1] for row in found] == [False] * 5 + [True]
    assert found[5][2] == found[0][0]
    assert all(len(row[0]) == 8 for row in found)


def test_the_metrics_say_what_the_story_says(platform: Platform) -> None:
    wanted = {
        "incidents_opened": 6,
        "mean_time_to_detect": (3660 + 150 + 1 + 30) / 4,
        "mean_time_to_restore": (21600 + 64800 + 86449 + 36000 + 35820) / 5,
        "incident_recurrence_rate": 1 / 6,
        # r1, r4, r6, r9 of eleven runs, two of which were killed.
        "pipeline_success_rate": 4 / 11,
        # Incidents within a day of the first deploy and of the second, none after the third.
        "change_failure_rate": 2 / 3,
        "deploy_lead_time": (1 + 12 + 2) * 3600 / 3,
        "check_coverage": 8 / 9,
        "documentation_coverage": (8 * 3 + 4) / 36,
        "cost_per_model": (2.5 + 1.5) / 2,
    }
    for name, value in wanted.items():
        [(when, found)] = query(platform.settings, [name], ["year"]).rows
        assert when == date(2026, 1, 1) and found == pytest.approx(value), name


def test_freshness_is_the_time_since_the_last_pass_held_against_the_promise(
    platform: Platform,
) -> None:
    """raw.web.visits promises 24 hours: passes on the 1st, 2nd, 3rd, then not before the 7th."""
    found = platform.rows(
        "select extract(day from day_on), observed_seconds::double, fresh_seconds::double"
        f" from marts.platform_service_levels_daily where dataset_key = '{VISITS}' order by 1"
    )
    whole = 86400.0
    until_four = 4 * 3600.0 + 60
    assert found == [
        (1, 57300, 57300),
        (2, whole, whole),
        (3, whole, whole - 120),  # from 04:01, a day after the last pass, to 04:03
        (4, whole, until_four + 120),
        (5, whole, 0),
        (6, whole, 0),
        (7, whole, whole - until_four - 60),
        (8, whole, whole),
        (9, 43500, until_four),
    ]


def test_a_budget_is_what_the_objective_leaves_and_is_spent_by_what_was_missed(
    platform: Platform,
) -> None:
    [(fresh, watched)] = platform.rows(
        "select sum(fresh_seconds)::double, sum(observed_seconds)::double"
        f" from marts.platform_service_levels_daily where dataset_key = '{VISITS}'"
    )
    found = {
        indicator: rest
        for indicator, *rest in platform.rows(
            "select indicator, objective, attained, spent_share, burn_rate_1d, is_spent"
            f" from marts.platform_error_budgets where dataset_key in ('{VISITS}')"
        )
    }
    missed = 1 - fresh / watched
    assert found["freshness"] == pytest.approx(
        [0.9, 1 - missed, missed / 0.1, (1 - (4 * 3600 + 60) / 43500) / 0.1, True]
    )
    # Eleven checks, of which one failed; a tier that says nothing promises 95 %.
    assert found["pass_rate"] == pytest.approx([0.95, 10 / 11, 1 / 11 / 0.05, None, True])
    [(loaded,)] = platform.rows(
        "select attained from marts.platform_error_budgets"
        f" where dataset_key = '{SALES}' and indicator = 'completeness'"
    )
    assert loaded == pytest.approx(295 / 300)


def test_every_dbt_test_of_the_platforms_models_passes_on_the_story(platform: Platform) -> None:
    """Tests of the rows; unit tests are those of test_models.py."""
    rows_only = ["--exclude-resource-type", "unit_test"]
    outcome = dbt.run(platform.settings, ["test", "--select", "source:platform+", *rows_only])
    assert [each for each in outcome.nodes if each.status != "pass"] == []
    assert len(outcome.nodes) > 40


def test_people_add_facts_and_a_replay_of_the_log_gives_the_same_incidents(
    platform: Platform, log: Log
) -> None:
    everything = "select * from marts.platform_incidents order by incident_id"
    before = platform.rows(everything)
    last = incidents(platform, "incident_id")[-1][0]
    log.write("incidents", "08 05:00",
              {"incident_id": last, "fact": "acknowledged", "by": "bo"},
              {"incident_id": last, "fact": "cause", "by": "bo", "text": "a guess"})  # fmt: skip
    log.write("incidents", "08 06:00",
              {"incident_id": last, "fact": "acknowledged", "by": "cy"},
              {"incident_id": last, "fact": "cause", "by": "bo", "text": "new prices"})  # fmt: skip
    platform.build()
    told = incidents(platform, "acknowledged_at, acknowledged_by, cause")[-1]
    assert told == (at(8, 5, 0), "bo", "new prices")
    after = platform.rows(everything)
    assert len(after) == len(before)
    with closing(connect(platform.settings)) as connection:
        replay_source(platform.settings, connection, "platform")
    platform.build()
    assert platform.rows(everything) == after


def test_gates_over_a_log_without_events_of_some_kind_can_stand_open(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, landing="")
    catalog = load_catalog(settings)
    entities = [each.key for each in catalog.layer("raw") if each.source == "platform"]
    gate.mark_pending(settings, entities, "r1")
    told = Platform(settings, catalog)
    told.build()
    keys = [each.key for each in catalog.datasets.values() if each.has_wall_clock]
    assert len(keys) > len(entities)
    with closing(connect(settings)) as connection:
        evaluations = evaluate(settings, catalog, connection, keys)
    assert [str(each.reason) for each in evaluations if not each.is_open] == []


def test_the_platform_lives_by_the_wall_clock_and_the_company_by_its_own(
    platform: Platform,
) -> None:
    """The story ends in March 2026: by the wall clock its log is stale, whatever is pinned."""
    pinned = Settings(
        data_dir=platform.settings.data_dir, landing="", as_of=datetime(2026, 3, 9, 12, tzinfo=UTC)
    )
    assert not platform.catalog["raw.app.accounts"].has_wall_clock
    with closing(connect(pinned)) as connection:
        [found] = evaluate(pinned, platform.catalog, connection, ["raw.platform.gates"])
    assert [each.type for each in found.failing] == ["freshness"]
    # A day after the pinned present is shown of the platform, and refused of the company.
    assert query(pinned, ["deploys"], ["day"], start="2026-03-09").rows == ((date(2026, 3, 9), 1),)
