"""Metrics as they are asked: by grain and dimension, filtered, or refused with what is allowed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from catalog.catalog import load_catalog
from serving.conditions import Condition
from serving.metrics import has_any, key_figures, list_metrics, parse_filter, query
from serving.published import QueryError
from serving.semantics import load_semantics, refuse_dropped_filters
from tests.conftest import BooksWorkshop
from warehouse.errors import SluiceError
from warehouse.settings import PROJECT_ROOT, Settings

ALL = bool(os.environ.get("SLUICE_TEST_ALL"))
NAMED_BY_THE_BUSINESS = {
    *("dau", "wau", "mau", "stickiness", "activation_rate", "signup_to_report_rate"),
    *("trial_conversion_rate", "mrr", "new_mrr", "expansion_mrr", "contraction_mrr"),
    *("churned_mrr", "reactivation_mrr", "net_new_mrr", "arr", "arpa", "paying_accounts"),
    *("logo_churn_rate", "revenue_churn_rate", "nrr", "grr", "ltv", "cac"),
    *("cac_payback_months", "feature_adoption_rate", "invoiced_revenue", "collected_revenue"),
    *("refund_rate", "leads", "lead_to_paid_rate", "cumulative_new_mrr", "signup_to_paid_rate"),
}


@pytest.fixture
def here(books_workshop: BooksWorkshop) -> Settings:
    return books_workshop.settings


def test_every_metric_says_what_it_is_and_whose(here: Settings) -> None:
    found = list_metrics(here)
    assert {each.name for each in found} >= NAMED_BY_THE_BUSINESS
    assert {each.type for each in found} == {
        *("simple", "ratio", "derived", "cumulative", "conversion")
    }
    for each in found:
        assert each.label and each.description and each.unit and each.grains, each.name
        assert each.owner in {"finance", "growth", "product", "platform"}, each.name
        assert each.tier in {1, 2, 3}, each.name


def test_metrics_read_public_models_only(here: Settings) -> None:
    public = {each.name for each in load_catalog(here).public()}
    manifest = load_semantics(here).manifest
    read = {model["node_relation"]["alias"] for model in manifest["semantic_models"]}
    read |= {
        spine["node_relation"]["alias"]
        for spine in manifest["project_configuration"]["time_spines"]
    }
    assert read <= public


def test_every_metric_answers_at_every_grain_and_dimension_it_allows(here: Settings) -> None:
    for metric in list_metrics(here):
        # Nothing goes wrong in the demo; tests/dbt_project/test_platform_books.py has incidents.
        may_be_none = metric.owner == "platform"
        # `make test-all` asks every one of each metric; test_books_on_a_server.py asks the last.
        for grain in metric.grains if ALL else metric.grains[:1]:
            by = [grain, *metric.requires]
            answer = query(here, [metric.name], by)
            assert answer.columns == (*by, metric.name)
            assert answer.rows or may_be_none, f"{metric.name} by {by}"
            keys = [row[:-1] for row in answer.rows]
            assert len(set(keys)) == len(keys), f"{metric.name} by {by} repeats a row"
            assert all(row[-1] is not None for row in answer.rows)
        if ALL or metric.owner == "platform":
            by = [metric.grains[-1], *metric.dimensions]
            assert query(here, [metric.name], by).rows or may_be_none, f"{metric.name} by {by}"
        if metric.composes and not metric.requires:
            assert len(query(here, [metric.name]).rows) == 1


@pytest.mark.parametrize(
    ("metrics", "by", "allowed"),
    [
        (["nrr"], ["quarter"], "month"),
        (["grr"], ["metric_time__year"], "month"),
        (["logo_churn_rate"], ["day"], "month"),
        (["stickiness"], ["month"], "day"),
        (["dau"], ["week"], "day"),
        (["ltv"], ["year"], "month"),
        (["cac_payback_months"], ["quarter"], "month"),
        (["activation_rate"], ["month"], "week"),
        (["nrr"], [], "month"),
        (["cumulative_new_mrr"], [], "day or week or month"),
        (["mrr", "nrr"], ["year"], "month"),
        (["feature_adoption_rate"], ["month"], "feature"),
        (["user_retention_rate"], ["week"], "week_number"),
        (["dau", "nrr"], ["day"], "dau by day; nrr by month"),
    ],
)
def test_what_does_not_compose_is_refused_with_what_is_allowed(
    here: Settings, metrics: list[str], by: list[str], allowed: str
) -> None:
    with pytest.raises(QueryError, match=allowed):
        query(here, metrics, by)


def test_a_dimension_that_must_be_given_may_be_filtered_to_one(here: Settings) -> None:
    by_feature = query(here, ["feature_adoption_rate"], ["month", "feature"])
    only = query(
        here, ["feature_adoption_rate"], ["month"], where=[Condition("feature", "=", "reports")]
    )
    assert only.rows == tuple((m, rate) for m, name, rate in by_feature.rows if name == "reports")
    with pytest.raises(QueryError, match="feature"):
        query(
            here,
            ["feature_adoption_rate"],
            ["month"],
            where=[Condition("feature", "in", ["reports", "search"])],
        )


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        ({"metrics": ["mmr"]}, "There is no metric mmr.*\n.*mrr"),
        ({"metrics": ["new_mr"]}, "new_mrr"),
        ({"metrics": []}, "No metric"),
        ({"metrics": ["mrr"], "group_by": ["plann"]}, "There is no dimension plann.*\n.*plan"),
        ({"metrics": ["mrr"], "group_by": ["account__country"]}, "Dimensions: plan"),
        ({"metrics": ["mrr", "new_mrr"], "group_by": ["country"]}, "no dimension country"),
        ({"metrics": ["mrr"], "group_by": ["month", "year"]}, "grouped twice"),
        ({"metrics": ["new_mrr"], "group_by": ["signed_up_on"]}, "grouped by a grain"),
        ({"metrics": ["mrr"], "group_by": ["month"], "order": ["plan"]}, "not a column"),
        ({"metrics": ["mrr"], "start": "2026-02-01", "end": "2026-01-01"}, "before it starts"),
        ({"metrics": ["mrr"], "start": "2036-02-01"}, "the history ends on 2026-03-31"),
        ({"metrics": ["mrr"], "start": "yesterday"}, "not a day"),
        ({"metrics": ["mrr"], "limit": 0}, "at least one"),
        ({"metrics": ["new_mrr"], "where": [Condition("signed_up_on", "=", "x")]}, "filter's"),
    ],
)
def test_what_is_not_known_or_not_meant_is_explained(
    here: Settings, ask: dict[str, Any], says: str
) -> None:
    with pytest.raises(QueryError, match=says):
        query(here, **ask)


def test_filters_are_values_and_nothing_else(books_workshop: BooksWorkshop) -> None:
    here = books_workshop.settings
    total = query(here, ["sign_ups"]).rows[0][0]
    (de,) = query(here, ["sign_ups"], where=[parse_filter("country=DE")]).rows
    (others,) = query(here, ["sign_ups"], where=[parse_filter("country != DE")]).rows
    assert de[0] + others[0] == total
    counted = books_workshop.connection.execute(
        "select count(*) from dim_accounts where country = 'DE'"
    ).fetchall()
    assert [de] == counted
    for value in ("DE' or 1 = 1 --", "{{ Dimension('account__region') }}", "{% raw %}"):
        answer = query(here, ["sign_ups"], where=[Condition("country", "=", value)])
        assert answer.rows == ((None,),)


def test_a_balance_filtered_by_plan_is_that_of_the_last_day(here: Settings) -> None:
    by_plan = query(here, ["mrr", "paying_accounts"], ["month", "plan"])
    whole = {row[0]: row[1:] for row in query(here, ["mrr", "paying_accounts"], ["month"]).rows}
    summed: dict[date, tuple[Decimal, int]] = {}
    for month, _, mrr, accounts in by_plan.rows:
        so_far = summed.get(month, (Decimal(0), 0))
        summed[month] = (so_far[0] + mrr, so_far[1] + accounts)
    assert summed == whole
    for plan in {row[1] for row in by_plan.rows}:
        only = query(here, ["mrr"], ["month"], where=[Condition("plan", "=", plan)])
        assert only.rows == tuple((m, mrr) for m, p, mrr, _ in by_plan.rows if p == plan)


def test_a_span_is_widened_to_whole_periods_and_ends_with_the_history(here: Settings) -> None:
    months = query(here, ["mrr"], ["month"]).rows
    assert months[-1][0] == date(2026, 3, 1)
    span = query(here, ["mrr"], ["month"], start="2026-01-15", end=date(2026, 2, 10))
    assert span.rows == months[-3:-1]
    assert query(here, ["cumulative_new_mrr"], ["month"]).rows[-1][0] == date(2026, 3, 1)
    growth = query(here, ["mrr_growth_rate"], ["month"])
    assert query(here, ["mrr_growth_rate"], ["month"], start="2026-03-01").rows == growth.rows[-1:]
    february = query(here, ["mau"], ["month"], end="2026-02-28").rows[-1][1]
    assert query(here, ["mau"], where=[parse_filter("day <= 2026-02-28")]).rows == ((february,),)
    assert query(here, ["mau"], end="2026-02-28").rows == ((february,),)


def test_a_flag_is_found_however_it_is_written() -> None:
    assert has_any({"true", "false"}, ["True"]) and has_any({"false"}, [False])
    assert not has_any({"false"}, ["TRUE"])
    assert has_any({"DE", "US"}, ["FR", "US"]) and not has_any({"DE"}, ["de"])


def test_rows_are_ordered_and_limited_as_asked(here: Settings) -> None:
    best = query(here, ["mrr"], ["metric_time__month"], order=["-mrr"], limit=3)
    assert best.columns == ("metric_time__month", "mrr")
    values = [row[1] for row in query(here, ["mrr"], ["month"]).rows]
    assert [row[1] for row in best.rows] == sorted(values, reverse=True)[:3]


def test_a_filter_that_metricflow_would_drop_is_refused() -> None:
    conversion = {"conversion_measure": {"name": "reports", "filter": {"where_filters": ["x"]}}}
    metric = {"name": "sign_up_to_report", "type_params": {"conversion_type_params": conversion}}
    with pytest.raises(SluiceError, match=r"sign_up_to_report.*drops"):
        refuse_dropped_filters({"metrics": [metric]})


def test_a_metric_newer_than_the_snapshot_asks_for_a_run(here: Settings, tmp_path: Path) -> None:
    older = Settings(data_dir=tmp_path, landing=here.landing_url)
    (tmp_path / "dbt").symlink_to(here.dbt_target_path)
    snapshot = older.published_dir / "snapshots" / "1.duckdb"
    snapshot.parent.mkdir(parents=True)
    older.published_path.symlink_to(snapshot)
    with duckdb.connect(str(snapshot)) as connection:
        connection.execute("create schema published")
    with pytest.raises(QueryError, match=r"finance_mrr_daily.*\n.*sluice run"):
        query(older, ["mrr"])


def test_an_earlier_snapshot_answers_as_of_its_own_time(here: Settings, tmp_path: Path) -> None:
    kept = Settings(data_dir=tmp_path, landing=here.landing_url)
    (tmp_path / "dbt").symlink_to(here.dbt_target_path)
    folder = kept.published_dir / "snapshots"
    folder.mkdir(parents=True)
    shutil.copy(here.published_path, folder / "earlier.duckdb")
    shutil.copy(here.published_path, folder / "now.duckdb")
    kept.published_path.symlink_to(folder / "now.duckdb")
    with duckdb.connect(str(folder / "earlier.duckdb")) as connection:
        connection.execute(
            "update published._publish set as_of = as_of - interval 1 month;"
            "update published.finance_mrr_daily set mrr_usd_amount = mrr_usd_amount * 2"
        )
    now = dict(query(kept, ["mrr"], ["month"]).rows)
    earlier = dict(query(kept, ["mrr"], ["month"], snapshot_id="earlier").rows)
    assert now == dict(query(here, ["mrr"], ["month"]).rows)
    last = max(now)
    assert last not in earlier and len(earlier) == len(now) - 1
    middle = sorted(now)[5]
    assert earlier[middle] == 2 * now[middle]


def test_key_figures_are_the_metrics_of_the_last_whole_periods(here: Settings) -> None:
    figures = {each.label: each for each in key_figures(here)}
    before, now = query(here, ["mrr", "nrr"], ["month"]).rows[-2:]
    mrr = figures["MRR, March 2026"]
    assert (mrr.value, mrr.comparison) == (f"${now[1]:,.2f}", f"${before[1]:,.2f}")
    assert figures["Net revenue retention, March 2026"].value == f"{now[2] * 100:.1f} %"
    dau = query(here, ["dau"], ["day"]).rows[-1][1]
    assert figures["Daily active users, 2026-03-31"].value == f"{dau:,}"
    assert "Trial conversion, February 2026" in figures
    assert "Activation, week of 2026-03-09" in figures
    assert all(each.value != "–" for each in figures.values())


def test_nothing_slow_is_imported_before_a_metric_is_asked() -> None:
    code = (
        "import sys, serving.metrics; sys.exit('metricflow' in sys.modules or 'dbt' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT).returncode == 0
