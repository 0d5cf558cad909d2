"""Who may read what: the policy file, and what it means for every column of every public table.

Pure functions: from the catalog and the policy comes, for each role and table, what each column
shows and which rows. PostgreSQL's roles and grants are made of that, and nothing else decides.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import sqlglot
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlglot import exp
from sqlglot.errors import SqlglotError

from catalog.catalog import Catalog, Dataset
from catalog.classification import PERSONAL, rank
from catalog.sql_expressions import built_in
from warehouse import masks
from warehouse.errors import SettingsError
from warehouse.settings import PROJECT_ROOT, Settings
from warehouse.words import nearest

Shown = Literal["clear", "masked", "hidden"]
ROW_POLICY: Final = "row_policy"
RESERVED: Final = ("public", "postgres", "none", "current_user", "session_user")


class Role(BaseModel):
    """What one role reads; the words of the file are these names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    description: str = ""
    subjects: Literal["all"] | Annotated[list[str], Field(min_length=1)] = "all"
    tiers: Annotated[list[Literal[1, 2, 3]], Field(min_length=1)] = [1, 2, 3]
    classification: Literal["public", "internal", "confidential"] = "public"
    personal: Shown = "hidden"
    writes: bool = False

    def shows(self, dataset: Dataset) -> bool:
        if self.writes:
            return True
        is_subject = self.subjects == "all" or dataset.subject in self.subjects
        return is_subject and dataset.tier in self.tiers

    def of(self, classification: str) -> Shown:
        """What a column of this classification looks like."""
        if self.writes:
            return "clear"
        if classification == PERSONAL:
            return self.personal
        return "clear" if rank(classification) <= rank(self.classification) else "hidden"


class Policy(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    roles: Annotated[dict[str, Role], Field(min_length=1)]

    @field_validator("roles")
    @classmethod
    def _named(cls, roles: dict[str, Role]) -> dict[str, Role]:
        for name in roles:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,50}", name) or name in RESERVED:
                raise ValueError(f"{name!r} cannot be a role's name: small letters and _")
            if name.startswith("pg_"):
                raise ValueError(f"{name!r}: names with pg_ are PostgreSQL's own")
        return roles


@dataclass(frozen=True)
class TableAccess:
    """What one role sees of one public table: each column, and which rows (empty: all of them)."""

    dataset: str
    table: str
    columns: Mapping[str, Shown]
    rows: str = ""

    @property
    def is_readable(self) -> bool:
        return any(shown != "hidden" for shown in self.columns.values())


Access = Mapping[str, Mapping[str, TableAccess]]
"""By role, by the name of the public table."""


def load_policy(settings: Settings) -> Policy:
    return read_policy(settings.policy_path)


def read_policy(path: Path) -> Policy:
    where = path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path
    try:
        return Policy.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=_Once))
    except FileNotFoundError as error:
        raise SettingsError(
            f"There is no policy {where}: nobody may read anything.",
            remedy="SLUICE_POLICY names the file; catalog/policy.yml is the one that comes along.",
        ) from error
    except yaml.YAMLError as error:
        first = str(error).replace("\n", " ")
        raise SettingsError(f"{where} is not YAML: {first}", remedy="Correct the line.") from error
    except ValidationError as error:
        raise SettingsError(
            f"{where}: {'; '.join(_told(each) for each in error.errors())}.",
            remedy="The file's first lines say which words it knows.",
        ) from error


def access_of(catalog: Catalog, policy: Policy) -> Access:
    """By role and public table, what is shown. A table of which nothing is shown is left out."""
    found: dict[str, dict[str, TableAccess]] = {}
    for name, role in policy.roles.items():
        tables = (_table(each, name, role) for each in catalog.public() if role.shows(each))
        found[name] = {each.table: each for each in tables if each.is_readable}
    return found


def problems(catalog: Catalog, policy: Policy) -> Iterator[tuple[str, str]]:
    """What the policy names and nobody knows, and what cannot be masked or filtered."""
    subjects = {each.subject for each in catalog.public()}
    for name, role in policy.roles.items():
        for subject in role.subjects if isinstance(role.subjects, list) else []:
            if subject not in subjects:
                yield (
                    f"role {name}",
                    f"no public table is about `{subject}`{_near(subject, subjects)}",
                )
    for dataset in catalog.public():
        for column in dataset.columns:
            if column.classification == PERSONAL and not masks.is_maskable(column.data_type):
                yield (
                    dataset.key,
                    f"{column.name} is personal and of type {column.data_type or '(none given)'}, "
                    "which engines write differently, so that its mask would differ: make it text",
                )
        for role_name, rows in _row_policies(dataset).items():
            if role_name not in policy.roles:
                yield (
                    dataset.key,
                    f"row_policy: no role is called `{role_name}`" + _near(role_name, policy.roles),
                )
            why = _row_fault(dataset, rows)
            if why:
                yield dataset.key, f"row_policy of {role_name}: {why}"


def _table(dataset: Dataset, name: str, role: Role) -> TableAccess:
    columns = {each.name: role.of(each.classification) for each in dataset.columns}
    rows = "" if role.writes else str(_row_policies(dataset).get(name, ""))
    return TableAccess(dataset.key, dataset.name, columns, rows)


def _row_policies(dataset: Dataset) -> Mapping[str, Any]:
    said = dataset.meta.get(ROW_POLICY) or {}
    return said if isinstance(said, dict) else {str(said): ""}


def _row_fault(dataset: Dataset, rows: Any) -> str:
    """One expression over the table's own columns, with functions that both engines bring along."""
    if not isinstance(rows, str) or not rows.strip():
        return "it must be a condition, such as `not is_deleted`"
    try:
        [statement] = sqlglot.parse(f"select {rows}", dialect="postgres")
    except (SqlglotError, ValueError):
        return f"`{rows}` is not one condition"
    if not isinstance(statement, exp.Select) or len(statement.expressions) != 1:
        return f"`{rows}` is not one condition"
    if any(value for part, value in statement.args.items() if part != "expressions"):
        return f"`{rows}` is not one condition"
    if statement.expressions[0].find(exp.Query, exp.Star, exp.Alias):
        return f"`{rows}` reads more than the row itself"
    for function in statement.find_all(exp.Anonymous):
        if function.name.lower() not in built_in():
            return f"nobody knows the function {function.name}(…)"
    known = {each.name.lower() for each in dataset.columns}
    for column in statement.find_all(exp.Column):
        if column.table or column.name.lower() not in known:
            return f"there is no column `{column.sql()}`{_near(column.name, known)}"
    return ""


class _Once(yaml.SafeLoader):
    """YAML lets the second of two equal keys win in silence; here it is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"`{key.value}` stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _told(error: Any) -> str:
    place = ".".join(
        str(each) for each in error["loc"] if each not in ("list[str]", "literal['all']")
    )
    if error["type"] == "extra_forbidden":
        word = str(error["loc"][-1])
        known = Role.model_fields if len(error["loc"]) > 1 else Policy.model_fields
        return f"`{place}` is not a word of it{_near(word, known)}"
    return f"`{place}`: {error['msg'].removeprefix('Value error, ')}"


def _near(word: str, known: Any) -> str:
    found = nearest(word, known)
    return f"; did you mean `{found[0]}`?" if found else f" (known: {', '.join(sorted(known))})"
