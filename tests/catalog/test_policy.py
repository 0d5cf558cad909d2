"""The policy file, and what it makes of every column of every public table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_project import project

from catalog.catalog import Catalog, from_manifest
from catalog.policy import access_of, load_policy, problems, read_policy
from warehouse.errors import SettingsError
from warehouse.settings import Settings

DECLARED = {
    "m": {"user_id": "internal", "email": "personal", "salary": "confidential", "page": "public"}
}
ROLES = """
roles:
  platform: {writes: true}
  analyst: {classification: internal, personal: masked}
  finance: {classification: confidential}
  privileged: {classification: confidential, personal: clear}
  guest: {}
  growth: {subjects: [growth], classification: internal}
"""


def catalog_with(meta: dict[str, Any] | None = None) -> Catalog:
    catalog, _, _ = project({"m": "select 1 as user_id"}, declared=DECLARED)
    node = {**catalog.manifest["nodes"]["model.small.m"]}
    node["config"] = {**node["config"], "meta": meta or {}}
    node["columns"] = {
        name: {**column, "data_type": "varchar"} for name, column in node["columns"].items()
    }
    return from_manifest({**catalog.manifest, "nodes": {"model.small.m": node}})


def written(folder: Path, text: str) -> Path:
    (folder / "policy.yml").write_text(text)
    return folder / "policy.yml"


def test_each_role_sees_what_the_policy_says(tmp_path: Path) -> None:
    access = access_of(catalog_with(), read_policy(written(tmp_path, ROLES)))
    shown = {role: dict(tables["m"].columns) for role, tables in access.items() if tables}
    names = ("user_id", "email", "salary", "page")
    assert {role: tuple(each[name] for name in names) for role, each in shown.items()} == {
        "platform": ("clear", "clear", "clear", "clear"),
        "analyst": ("clear", "masked", "hidden", "clear"),
        "finance": ("clear", "hidden", "clear", "clear"),
        "privileged": ("clear", "clear", "clear", "clear"),
        "guest": ("hidden", "hidden", "hidden", "clear"),
    }
    assert access["growth"] == {}


def test_a_row_policy_holds_for_its_role_alone(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, ROLES))
    catalog = catalog_with({"row_policy": {"analyst": "page <> 'secret'"}})
    access = access_of(catalog, policy)
    assert access["analyst"]["m"].rows == "page <> 'secret'"
    assert access["finance"]["m"].rows == access["platform"]["m"].rows == ""
    assert list(problems(catalog, policy))[1:] == []  # The first: no table is about growth.


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"analist": "true"}, "did you mean `analyst`"),
        ({"analyst": "pge = 'a'"}, "did you mean `page`"),
        ({"analyst": "page = 'a'; drop table x"}, "is not one condition"),
        ({"analyst": "page = 'a' or exists (select 1 from other)"}, "more than the row itself"),
        ({"analyst": "true) or (true"}, "is not one condition"),
        ({"analyst": "true from other"}, "is not one condition"),
        ({"analyst": "leak(page)"}, "nobody knows the function leak"),
        ({"analyst": "other.page = 'a'"}, "there is no column"),
        ({"analyst": 1}, "it must be a condition"),
    ],
)
def test_a_row_policy_that_cannot_hold_is_refused(
    tmp_path: Path, rule: dict[str, Any], why: str
) -> None:
    policy = read_policy(written(tmp_path, ROLES))
    told = [what for _, what in problems(catalog_with({"row_policy": rule}), policy)]
    assert any(why in each for each in told), told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("roles: {analyst: {classifikation: internal}}", "did you mean `classification`"),
        ("roles: {analyst: {classification: personal}}", "roles.analyst.classification"),
        ("roles: {analyst: {personal: mask}}", "roles.analyst.personal"),
        ("roles: {analyst: {tiers: [4]}}", "roles.analyst.tiers.0"),
        ("roles: {analyst: {subjects: []}}", "roles.analyst.subjects"),
        ("roles: {analyst: {writes: maybe}}", "roles.analyst.writes"),
        ("roles: {Analyst: {}}", "cannot be a role's name"),
        ("roles: {pg_monitor: {}}", "PostgreSQL's own"),
        ("roles: {public: {}}", "cannot be a role's name"),
        ("rolls: {analyst: {}}", "did you mean `roles`"),
        ("roles: {analyst: {}, analyst: {personal: clear}}", "stands twice"),
        ("roles: {}", "roles"),
        ("roles: [", "is not YAML"),
        ("", "policy.yml"),
    ],
)
def test_a_policy_that_is_not_understood_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as refused:
        read_policy(written(tmp_path, text))
    assert "policy.yml" in str(refused.value)


def test_a_personal_column_whose_mask_engines_would_write_differently_is_refused(
    tmp_path: Path,
) -> None:
    catalog, _, _ = project({"m": "select 1 as user_id"}, declared=DECLARED)
    policy = read_policy(written(tmp_path, "roles: {analyst: {}}"))
    [(dataset, what)] = problems(catalog, policy)
    assert dataset == "marts.m" and what.startswith("email is personal and of type (none given)")


def test_without_a_policy_nobody_reads() -> None:
    with pytest.raises(SettingsError, match="nobody may read anything"):
        load_policy(Settings(policy=Path("no such file.yml")))


def test_our_own_policy_knows_the_five_roles() -> None:
    roles = load_policy(Settings()).roles
    assert list(roles) == ["sluice_platform", "analyst", "finance", "service", "privileged"]
    assert [name for name, role in roles.items() if role.personal == "clear"] == ["privileged"]
