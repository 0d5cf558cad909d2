"""Column lineage of the whole project: which columns reach each column of each model, and how.

dbt compiles every model (four seconds), sqlglot parses it, sql_queries reads it (half a second for
eighty models). The result is kept under data/ for as long as no file of the project changes.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from catalog import anonymising
from catalog.catalog import Catalog, Dataset
from catalog.sql_queries import CannotFollow, Queries
from catalog.sql_scope import UNNAMED, Relation, Scope
from catalog.taint import UNKNOWN, How, Ref, Taint, joined
from warehouse import dbt, project_files
from warehouse.settings import Settings

MARK_VARIABLE: Final = "SLUICE_LINEAGE_MARK"
REST: Final = "*"
# What the loader adds to each row; `_extra` holds columns that no contract names.
LOADED: Final = ("_batch_id", "_source_file", "_row_number", "_loaded_at", "_extra")
READERS: Final = ["anonymising", "lineage", "sql_expressions", "sql_queries", "sql_scope", "taint"]


@dataclass(frozen=True)
class Flow:
    """One model: what reaches each of its columns, and what could not be followed.

    `rest` reaches every column that is not among `columns`; None where all of them are known.
    """

    columns: Mapping[str, Taint] = field(default_factory=dict)
    rest: Taint | None = None
    notes: tuple[str, ...] = ()

    def of(self, column: str) -> Taint:
        if column in self.columns:
            return self.columns[column]
        return self.rest if self.rest is not None else self.everything

    @property
    def everything(self) -> Taint:
        return joined([*self.columns.values(), self.rest or {}])


Lineage = Mapping[str, Flow]
"""By the key of a model; sources and seeds have no flow, they are where everything comes from."""


def load_lineage(settings: Settings, catalog: Catalog) -> Lineage:
    """The lineage of the project as it stands; nothing is compiled when no file has changed."""
    path = settings.dbt_target_path / "lineage.json"
    state = state_of(settings, READERS)
    known = remembered(path, state)
    if known is not None:
        return {key: _flow(each) for key, each in known.items()}
    sql = dbt.compiled(settings, {MARK_VARIABLE: anonymising.MARK})
    found = lineage_of(catalog, sql, settings.target)
    remember(path, state, {key: _plain(flow) for key, flow in found.items()})
    return found


def lineage_of(catalog: Catalog, sql: Mapping[str, str], dialect: str) -> Lineage:
    """Read every model (its SQL by its unique id), parents first."""
    anonymisers = anonymising.declared(catalog.manifest)
    found: dict[str, Flow] = {}
    relations: dict[str, Relation] = {}
    for dataset in in_order(catalog):
        if dataset.layer in ("raw", "seeds"):
            relations[dataset.key] = _as_relation(dataset.key, columns_of(dataset))
            continue
        text = sql.get(dataset.unique_id)
        flow = flow_of(catalog, dataset, text, dialect, relations, anonymisers)
        found[dataset.key] = flow
        rest: Taint | None = {Ref(dataset.key, REST): "value"} if flow.rest is not None else None
        relations[dataset.key] = _as_relation(dataset.key, flow.columns, rest)
    return found


def flow_of(
    catalog: Catalog,
    dataset: Dataset,
    sql: str | None,
    dialect: str,
    relations: Mapping[str, Relation],
    anonymisers: Mapping[str, str],
) -> Flow:
    """One model. What cannot be read counts as everything that could reach it."""
    inputs = joined(relations[parent].everything for parent in dataset.parents)
    by_name = {
        (each.schema.lower(), each.name.lower()): key
        for key, each in catalog.datasets.items()
        if key in relations
    }
    by_name[(dataset.schema.lower(), dataset.name.lower())] = dataset.key
    itself = _as_relation(dataset.key, (each.name for each in dataset.columns))
    notes: list[str] = []

    def table(schema: str, name: str) -> Relation | None:
        key = by_name.get((schema, name))
        return itself if key == dataset.key else relations.get(key or "")

    why = _why_not(catalog, dataset, sql)
    if why or sql is None:
        return _all_of(inputs, why)
    try:
        read = Queries(table, anonymisers, notes.append).read(_parsed(sql, dialect))
    except (SqlglotError, CannotFollow, RecursionError) as error:
        first = str(error).splitlines()[0]
        return _all_of(inputs, f"its SQL cannot be followed ({first}): all of its inputs reach it")
    columns = {name: taint for name, taint in read.columns if not name.startswith(UNNAMED)}
    rest = [read.rest] if read.rest is not None else []
    rest.extend(taint for name, taint in read.columns if name.startswith(UNNAMED))
    return Flow(
        {name: joined([taint, read.rows]) for name, taint in columns.items()},
        joined([*rest, read.rows]) if rest else None,
        tuple(dict.fromkeys(notes)),
    )


def expression_of(dataset: Dataset, sql: str, dialect: str) -> Taint:
    """What reaches an expression over one table, as a metric has it."""
    table = _as_relation(dataset.key, (each.name.lower() for each in dataset.columns))
    scope = Scope(None, {}, {dataset.name.lower(): table})
    try:
        tree = sqlglot.parse_one(f"select {sql}", dialect=dialect).expressions[0]
        return Queries(lambda _schema, _name: None, {}, lambda _: None).expressions.of(tree, scope)
    except (SqlglotError, CannotFollow, RecursionError):
        return table.everything


def in_order(catalog: Catalog) -> Iterable[Dataset]:
    """Parents before children."""
    seen: set[str] = set()

    def visit(key: str) -> Iterable[Dataset]:
        if key not in seen:
            seen.add(key)
            for parent in catalog[key].parents:
                yield from visit(parent)
            yield catalog[key]

    for key in catalog.datasets:
        yield from visit(key)


def columns_of(dataset: Dataset) -> tuple[str, ...]:
    """Of a source or seed: what its contract names, what the loader adds, a seed's first line."""
    named = [each.name.lower() for each in dataset.columns]
    if dataset.layer == "raw":
        return tuple(dict.fromkeys([*named, *LOADED]))
    return tuple(dict.fromkeys([*named, *(each.lower() for each in _header(dataset.path))]))


def _header(path: str) -> list[str]:
    from warehouse.settings import PROJECT_ROOT

    file = PROJECT_ROOT / "dbt_project" / path
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return next(csv.reader(lines), [])


def _parsed(sql: str, dialect: str) -> exp.Expr:
    statements = [each for each in sqlglot.parse(sql, dialect=dialect) if each is not None]
    if len(statements) != 1:
        raise CannotFollow(f"it holds {len(statements)} statements")
    return statements[0]


def _why_not(catalog: Catalog, dataset: Dataset, sql: str | None) -> str:
    if _hooks(catalog, dataset):
        return "it has hooks, which may write anything: all of its inputs reach it"
    if catalog.node(dataset).get("language", "sql") != "sql" or sql is None:
        return "it is not SQL: all of its inputs reach it"
    return ""


def _hooks(catalog: Catalog, dataset: Dataset) -> list[Any]:
    config = catalog.node(dataset)["config"]
    return [*(config.get("pre-hook") or []), *(config.get("post-hook") or [])]


def _all_of(inputs: Taint, why: str) -> Flow:
    everything: dict[Ref, How] = dict.fromkeys(inputs, "value")
    return Flow({}, everything or {Ref(UNKNOWN, "what it reads"): "value"}, (why,))


def _as_relation(key: str, columns: Iterable[str], rest: Taint | None = None) -> Relation:
    return Relation(tuple((name, {Ref(key, name): "same"}) for name in columns), rest)


def state_of(settings: Settings, readers: Iterable[str]) -> str:
    """Changes with any file of the project, and with our own way of reading it."""
    digest = hashlib.sha256(version("sqlglot").encode())
    for name in readers:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return f"{project_files.fingerprint()}:{settings.target}:{digest.hexdigest()}"


def remembered(path: Path, state: str) -> dict[str, Any] | None:
    """What was found out of the project in this state."""
    try:
        known = dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return None
    return dict(known["found"]) if known.get("state") == state and "found" in known else None


def remember(path: Path, state: str, found: Mapping[str, Any]) -> None:
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps({"state": state, "found": found}))
    aside.replace(path)


def _plain(flow: Flow) -> dict[str, Any]:
    return {
        "columns": {name: _plain_taint(taint) for name, taint in flow.columns.items()},
        "rest": None if flow.rest is None else _plain_taint(flow.rest),
        "notes": list(flow.notes),
    }


def _plain_taint(taint: Taint) -> list[list[str]]:
    return [[*astuple(ref), how] for ref, how in sorted(taint.items())]


def _flow(plain: Mapping[str, Any]) -> Flow:
    return Flow(
        {name: _taint(each) for name, each in plain["columns"].items()},
        None if plain["rest"] is None else _taint(plain["rest"]),
        tuple(plain["notes"]),
    )


def _taint(plain: Iterable[Any]) -> Taint:
    return {Ref(dataset, column, within): how for dataset, column, within, how in plain}
