"""A check may read only what stands when its gate is asked: its dataset and what that reads."""

from __future__ import annotations

import pytest
import sqlglot
import yaml
from platform_under_test import Demo
from sqlglot import exp

from catalog.catalog import Catalog, Dataset, load_catalog
from quality.checks import check_path, problems
from quality.own_checks import freshness_hours


@pytest.fixture(scope="module")
def catalog(demo: Demo) -> Catalog:
    return load_catalog(demo.sluice.settings)


def test_every_check_file_is_valid_and_every_one_that_is_due_is_there(catalog: Catalog) -> None:
    assert [str(each) for each in problems(catalog)] == []


def test_no_check_reads_what_is_built_after_its_dataset(catalog: Catalog) -> None:
    by_relation = {each.relation: each for each in catalog.datasets.values()}
    for dataset in catalog.datasets.values():
        for relation in read_by_checks(catalog, dataset):
            other = by_relation.get(relation)
            assert other is not None, f"{dataset.key} reads {relation}, which nothing builds"
            assert (
                other.key == dataset.key
                or other.key in catalog.ancestors(dataset.key)
                or other.layer in ("seeds", "raw")
                or (other.layer, dataset.layer) in {("staging", "curated"), ("curated", "marts")}
                or other.sources <= dataset.sources
            ), f"{dataset.key} is checked before {other.key} is built"


def test_every_source_of_tier_1_promises_how_fresh_it_is(catalog: Catalog) -> None:
    for dataset in catalog.layer("raw"):
        assert dataset.tier > 1 or freshness_hours(dataset) is not None, dataset.key


def read_by_checks(catalog: Catalog, dataset: Dataset) -> set[str]:
    path = check_path(dataset)
    if not path.exists():
        return set()
    found = set()
    for check in yaml.safe_load(path.read_text()).get("checks") or ():
        for body in check.values():
            query = (body or {}).get("query")
            if "with" in (body or {}):
                found.add(catalog[body["with"]].relation)
            for table in (
                sqlglot.parse_one(query, dialect="duckdb").find_all(exp.Table) if query else ()
            ):
                if table.db:
                    found.add(f"{table.db}.{table.name}")
    return found
