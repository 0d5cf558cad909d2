"""A check file that cannot be trusted says where and why, and keeps its gate closed."""

from __future__ import annotations

from pathlib import Path

import pytest
from gated_company import FACTS, PAYMENTS, REVENUE, Check, write

from catalog.catalog import Catalog
from quality.checks import CheckFileError, load, problems

pytest_plugins = ["gated_company"]

FAULTS = {
    "a misspelt threshold": (
        "checks:\n  - row_count:\n      treshold: {must_be: 0}\n",
        ":3: `treshold` is not a key of `row_count`; did you mean `threshold`?",
    ),
    "a misspelt comparison": (
        "checks:\n  - row_count:\n      threshold:\n        must_equal: 5\n",
        ":4: `must_equal` is not a key of a threshold; did you mean `must_be",
    ),
    "an unknown check": ("checks:\n  - row_cont:\n", ":2: `row_cont` is not a check; did you mean"),
    "a check Soda would ignore": (
        "checks:\n  - row_count:\nreconciliation:\n  checks: []\n",
        ":3: `reconciliation` is not a key of a check file",
    ),
    "a column the dataset does not have": (
        "columns:\n  - name: amuont\n    checks: [missing: ]\n",
        ":2: `amuont` is not a column of marts.finance_revenue; did you mean `amount`?",
    ),
    "a missing colon": ("checks:\n  - row_count\n", ":2: a check must be keys with values"),
    "no checks": ("columns: []\n", ":1: `columns` is empty"),
    "an empty file": ("# later\n", "is empty: a gate without checks proves nothing"),
    "only a filter": ("filter: amount > 0\n", "declares no check"),
    "a key twice": (
        "checks:\n  - row_count:\nchecks:\n  - row_count:\n",
        ":3: `checks` stands twice",
    ),
    "a number as text": (
        "checks:\n  - row_count:\n      threshold: {must_be: '5'}\n",
        ":3: `must_be` must be a number, not '5'",
    ),
    "two comparisons": (
        "checks:\n  - row_count:\n      threshold: {must_be: 5, must_not_be: 6}\n",
        ":3: a threshold needs exactly one comparison, this one has 2",
    ),
    "bounds the wrong way round": (
        "checks:\n  - row_count:\n      threshold:\n"
        "        must_be_between: {greater_than: 9, less_than: 1}\n",
        ":4: the bounds of `must_be_between` are the wrong way round",
    ),
    "two thresholds of one level": (
        "checks:\n  - row_count:\n      threshold: {must_be: 5, additional: {must_be: 6}}\n",
        ":3: both thresholds have the level `fail`",
    ),
    "an unknown level": (
        "checks:\n  - row_count:\n      threshold: {must_be: 5, level: warning}\n",
        ":3: `warning` is not a level; did you mean `warn`?",
    ),
    "an aggregate without threshold": (
        "columns:\n  - name: amount\n    checks:\n      - aggregate: {function: avg}\n",
        ":4: `aggregate` needs a `threshold`",
    ),
    "an unknown function": (
        "columns:\n  - name: amount\n    checks:\n"
        "      - aggregate: {function: average, threshold: {must_be: 1}}\n",
        ":4: `average` is not a function; did you mean `avg`?",
    ),
    "an unknown variable": (
        "filter: amount > ${var.AS_FO}\nchecks:\n  - row_count:\n",
        ":1: `var.AS_FO` is not a variable; did you mean `var.AS_OF`?",
    ),
    "an unknown reference": (
        "columns:\n  - name: currency\n    checks:\n      - invalid:\n"
        "          valid_reference_data: {dataset: seeds.currency, column: currency}\n",
        ":5: `seeds.currency` is not a dataset; did you mean `seeds.currencies`?",
    ),
    "a schema check by hand": (
        "checks:\n  - schema:\n",
        ":2: `schema` is added by the runner, from data_type",
    ),
    "no YAML": ("checks:\n  - row_count: [\n", "is not YAML"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_names_line_and_nearest_word(
    fault: str, catalog: Catalog, checks_dir: Path
) -> None:
    text, message = FAULTS[fault]
    path = write(checks_dir, REVENUE, text)
    with pytest.raises(CheckFileError) as raised:
        load(catalog, catalog[REVENUE], checks_dir)
    assert str(path) in raised.value.what
    assert message in raised.value.what and "?." not in raised.value.what
    assert raised.value.remedy


def test_a_faulty_file_closes_the_gate_and_stops_no_other(check: Check) -> None:
    found = check(REVENUE, "checks:\n  - row_count:\n      treshold: {must_be: 0}\n")
    assert not found.is_open
    assert "did you mean `threshold`" in found.reason
    assert check("marts.growth_funnel").is_open


def test_a_file_that_is_due_and_missing_closes_the_gate(check: Check, checks_dir: Path) -> None:
    (checks_dir / "marts" / "finance_revenue.yml").unlink()
    (checks_dir / "raw" / "billing.payments.yml").unlink()
    for key in (REVENUE, PAYMENTS):
        found = check(key)
        assert not found.is_open
        assert "has no check file" in found.reason
    assert check(FACTS).is_open  # private: its schema check suffices


def test_problems_lists_faulty_missing_and_stray_files(catalog: Catalog, checks_dir: Path) -> None:
    assert problems(catalog, checks_dir) == []
    write(checks_dir, REVENUE, "checks: []\n")
    (checks_dir / "marts" / "growth_funnel.yml").rename(checks_dir / "marts" / "growth_funel.yml")
    found = [error.what for error in problems(catalog, checks_dir)]
    assert len(found) == 3
    assert any("growth_funel.yml belongs to no dataset; did you mean" in each for each in found)
