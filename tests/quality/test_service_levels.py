"""What a dataset promises is understood, or said to be wrong: no promise is dropped in silence."""

from __future__ import annotations

from typing import Any

import pytest
from gated_company import MONEY, REVENUE, dataset
from platform_under_test import Demo

from catalog.catalog import Catalog, load_catalog
from quality.service_levels import problems


def test_every_promise_of_the_project_is_understood(demo: Demo) -> None:
    assert [str(each) for each in problems(load_catalog(demo.sluice.settings))] == []


@pytest.mark.parametrize(
    ("level", "fault"),
    [
        ({"freshnes_hours": 48}, "`freshnes_hours` is not a key of `service_level`; did you mean"),
        ({"freshness_hours": "48"}, "`freshness_hours` must be a number, not '48'"),
        ({"freshness_hours": 0}, "`freshness_hours` must be above 0, not 0"),
        ({"freshness_objective": 99}, "`freshness_objective` is a share, above 0 and up to 1"),
        ({"pass_rate_objective": True}, "`pass_rate_objective` must be a number"),
        ({"freshness_hours": 4, "column": "amuont"}, "`amuont` is not a column of it; did you"),
        (48, "`service_level` is 48"),
    ],
)
def test_what_cannot_be_held_is_said_with_its_dataset(level: Any, fault: str) -> None:
    revenue = dataset(REVENUE, MONEY, public=True, meta={"service_level": level})
    [found] = problems(Catalog({REVENUE: revenue}, {}, {}))
    assert fault in found.what and REVENUE in found.what and revenue.path in found.what
    sound = {"freshness_hours": 48, "column": "amount", "completeness_objective": 1}
    whole = dataset(REVENUE, MONEY, public=True, meta={"service_level": sound})
    assert problems(Catalog({REVENUE: whole}, {}, {})) == []
