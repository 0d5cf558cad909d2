"""What is due, and why: decided from what is known, without a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from gated_company import FACTS, FUNNEL, LEADS, PAYMENTS, REVENUE, STAGED, dataset

from catalog.catalog import Catalog
from quality.due import Facts, candidates, due, holding
from quality.gate_state import GateState, Override
from warehouse.builds import Build

SEED = "seeds.currencies"
DAY = date(2026, 3, 31)
BEGAN = datetime(2026, 4, 1, tzinfo=UTC)
ORDER = (SEED, PAYMENTS, LEADS, STAGED, FACTS, REVENUE, FUNNEL)


def at(hours: float) -> datetime:
    return BEGAN + timedelta(hours=hours)


@pytest.fixture
def catalog() -> Catalog:
    datasets = [
        dataset(SEED, {}),
        dataset(PAYMENTS, {}),
        replace(dataset(LEADS, {}), sources=frozenset({"crm"})),
        dataset(STAGED, {}, (PAYMENTS,)),
        dataset(FACTS, {}, (STAGED, SEED)),
        dataset(REVENUE, {}, (FACTS,), public=True),
        replace(dataset(FUNNEL, {}, (LEADS,), public=True), sources=frozenset({"crm"})),
    ]
    catalog = Catalog({each.key: each for each in datasets}, {}, {})
    # What the manifest would say.
    catalog.__dict__["definitions"] = {key: f"as {key} was" for key in catalog.datasets}
    catalog.__dict__["clocked"] = frozenset({REVENUE})
    return catalog


def state(key: str, built: float, changed: float, **more: Any) -> GateState:
    known: dict[str, Any] = {
        "state": "open",
        "built_at": at(built),
        "changed_at": at(changed),
        "judged_at": at(built),
        "judged_by": "these checks",
        "judged_on": DAY,
        "seen": 7 if key in (PAYMENTS, LEADS) else None,
    }
    return GateState(key, **known | more)


@pytest.fixture
def facts(catalog: Catalog) -> Facts:
    """All was built at one hour after the other, and changed when it was built first."""
    hours = {key: index + 1.0 for index, key in enumerate(ORDER)}
    return Facts(
        states={key: state(key, hours[key], hours[key]) for key in ORDER if key != SEED},
        builds={key: Build(f"as {key} was", DAY, at(hours[key])) for key in ORDER},
        tables=frozenset(each.relation for each in catalog.datasets.values()),
        last_day=DAY,
        today=dict.fromkeys(ORDER, DAY),
        newest={PAYMENTS: 7, LEADS: 7},
        standards=dict.fromkeys(ORDER, "these checks"),
    )


def but(facts: Facts, key: str, **changes: Any) -> Facts:
    return replace(facts, states={**facts.states, key: replace(facts.states[key], **changes)})


def test_nothing_is_due_where_nothing_has_changed(catalog: Catalog, facts: Facts) -> None:
    assert not due(catalog, facts, ORDER)


BELOW_PAYMENTS = {PAYMENTS, STAGED, FACTS, REVENUE}
BELOW_SEED = {SEED, FACTS, REVENUE}
OTHER_BUILD = Build(f"as {FACTS} was", DAY, at(0.5))


@pytest.mark.parametrize(
    ("change", "built", "why"),
    [
        ({"waiting": {"billing": "1 file to be loaded"}}, BELOW_PAYMENTS, "1 file to be loaded"),
        ({"newest": {PAYMENTS: 8, LEADS: 7}}, BELOW_PAYMENTS, "other ones than those"),
        ({"tables": frozenset()}, set(ORDER), "does not exist"),
        ({"last_day": DAY + timedelta(days=1)}, {REVENUE}, "the last day is 2026-04-01"),
        ({"holes": frozenset({FACTS})}, {FACTS, REVENUE}, "days of it"),
        ({"builds": {}}, set(ORDER), "nobody knows"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_what_changed_is_due_with_all_that_reads_it(
    catalog: Catalog, facts: Facts, change: Mapping[str, Any], built: set[str], why: str
) -> None:
    found = due(catalog, replace(facts, **change), ORDER)
    assert found.build.keys() == built
    assert any(why in each for each in found.build.values())


def test_another_definition_is_due_wherever_it_is(catalog: Catalog, facts: Facts) -> None:
    for key, built in ((SEED, BELOW_SEED), (STAGED, {STAGED, FACTS, REVENUE})):
        catalog.__dict__["definitions"] = {
            each: f"as {each} was" if each != key else "anew" for each in catalog.datasets
        }
        assert due(catalog, facts, ORDER).build.keys() == built


@pytest.mark.parametrize("shut", ["closed", "pending", "never"])
def test_a_gate_that_is_not_open_is_tried_again(catalog: Catalog, facts: Facts, shut: str) -> None:
    found = due(catalog, but(facts, FACTS, state=shut), ORDER)
    assert found.build.keys() == {FACTS, REVENUE}
    assert found.build[FACTS] == f"its gate is {shut}"


def test_what_calls_its_columns_too_little_is_judged_and_not_built(
    catalog: Catalog, facts: Facts
) -> None:
    for found in (
        replace(facts, kept_back=frozenset({FACTS})),
        but(facts, FACTS, state="closed", kind="called_too_little"),
    ):
        told = due(catalog, found, ORDER)
        assert not told.build and told.judge == {FACTS: "how it calls its columns is to be judged"}


def test_a_gate_that_somebody_opened_is_tried_again(catalog: Catalog, facts: Facts) -> None:
    override = Override("ann", "we know", at(100))
    assert FACTS in due(catalog, but(facts, FACTS, override=override), ORDER).build


def test_a_workshop_put_back_from_a_backup_is_built_anew(catalog: Catalog, facts: Facts) -> None:
    older = replace(facts, builds={**facts.builds, FACTS: OTHER_BUILD})
    assert due(catalog, older, ORDER).build.keys() == {FACTS, REVENUE}


def test_what_was_built_with_the_same_rows_makes_nothing_due(
    catalog: Catalog, facts: Facts
) -> None:
    """New batches, whose rows were all known before: the next layer is built, and not the rest."""
    came = but(facts, PAYMENTS, changed_at=at(20), built_at=at(20))
    came = replace(came, builds={**came.builds, PAYMENTS: Build(f"as {PAYMENTS} was", DAY, at(20))})
    assert STAGED in due(catalog, came, ORDER).build
    built = but(came, STAGED, built_at=at(21))
    built = replace(built, builds={**built.builds, STAGED: Build(f"as {STAGED} was", DAY, at(21))})
    assert not due(catalog, built, ORDER)
    # Had its rows been others, what reads it would be due, and what reads that may follow.
    changed = but(built, STAGED, changed_at=at(21))
    assert due(catalog, changed, [FACTS]).build == {FACTS: f"{STAGED} has changed"}
    alone = due(catalog, changed, [REVENUE])
    assert alone.build[REVENUE] == "what it reads is not up to date itself"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"standards": dict.fromkeys(ORDER, "these checks") | {FACTS: "others"}}, "have changed"),
        ({"beside": {FACTS: frozenset({LEADS})}}, f"held against {LEADS}, which has changed"),
        ({"by_the_day": frozenset({FACTS}), "today": {FACTS: DAY + timedelta(days=1)}}, "the day"),
        ({"freshness": {FACTS: "fail"}}, "its freshness is fail now"),
    ],
)
def test_a_gate_alone_is_due_when_its_checks_may_answer_otherwise(
    catalog: Catalog, facts: Facts, change: Mapping[str, Any], why: str
) -> None:
    known = but(facts, FACTS, checks=({"type": "freshness", "outcome": "pass"},))
    known = but(known, LEADS, changed_at=at(9))
    found = due(catalog, replace(known, **change), [FACTS])
    assert not found.build and why in found.judge[FACTS]
    assert not due(catalog, known, [FACTS])


def test_what_is_held_against_something_just_built_is_judged_with_it(
    catalog: Catalog, facts: Facts
) -> None:
    built = replace(but(facts, LEADS, state="pending"), beside={FACTS: frozenset({LEADS})})
    assert due(catalog, built, [LEADS, FACTS]).judge == {
        FACTS: f"it is held against {LEADS}, which is due"
    }


def test_what_is_held_against_something_due_is_a_candidate(catalog: Catalog, facts: Facts) -> None:
    news = replace(
        facts, waiting={"crm": "1 file to be loaded"}, beside={FACTS: frozenset({FUNNEL})}
    )
    found = due(catalog, news, [each for each in ORDER if each != FACTS])
    assert found.build.keys() == {LEADS, FUNNEL}
    assert candidates(catalog, news, ORDER, found) == {LEADS, FUNNEL, FACTS}


def test_what_a_backfill_holds_is_left_alone(catalog: Catalog, facts: Facts) -> None:
    held = frozenset({FACTS, REVENUE})
    news = replace(but(facts, FACTS, state="pending"), waiting={"billing": "1 file"}, held=held)
    found = due(catalog, news, ORDER)
    assert found.build.keys() == {PAYMENTS, STAGED}
    assert candidates(catalog, news, ORDER, found) == {PAYMENTS, STAGED}
    assert not held & set(holding(catalog, news, ORDER, found, at(99)))


def test_what_holds_is_said_again_once_its_last_pass_is_old(catalog: Catalog, facts: Facts) -> None:
    news = replace(facts, waiting={"crm": "1 file to be loaded"})
    found = due(catalog, news, ORDER)
    # Not the hour's own, nor what is due; nor what lies below a closed gate.
    assert set(holding(catalog, news, ORDER, found, at(5.5))) == {PAYMENTS, STAGED}
    assert not set(holding(catalog, but(news, PAYMENTS, state="closed"), ORDER, found, at(99)))
