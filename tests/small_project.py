"""A project of three sources and as many models as a test writes, as dbt's manifest tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.catalog import Catalog, from_manifest
from catalog.classification import Classification
from catalog.lineage import Lineage, lineage_of

SOURCES = {
    "users": {
        "user_id": "internal", "email": "personal", "full_name": "personal", "locale": "internal",
        "salary": "confidential", "context": "personal", "born_on": "personal",
    },
    "leads": {"lead_id": "internal", "email": "personal", "score": "internal"},
    "visits": {"user_id": "internal", "page": "public", "seconds": "internal"},
}  # fmt: skip
FIELDS = {"context": {"platform": "internal"}}
KINDS = {
    "hash": "anonymise_hash",
    "truncate": "anonymise_truncate",
    "aggregate": "anonymise_aggregate",
}


def column(name: str, classification: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"classification": classification}
    if name in FIELDS:
        meta["fields"] = FIELDS[name]
    return {"name": name, "config": {"meta": meta}}


def macro(name: str, kind: str, path: str) -> dict[str, Any]:
    return {"name": name, "original_file_path": path, "config": {"meta": {"anonymises": kind}}}


def project(
    models: Mapping[str, str],
    *,
    declared: Mapping[str, Mapping[str, str]] | None = None,
    hooks: Mapping[str, str] | None = None,
    languages: Mapping[str, str] | None = None,
    dialect: str = "duckdb",
) -> tuple[Catalog, Lineage, Classification]:
    """Models in the order in which they read each other; each may read all that stand before it."""
    sources = {
        f"source.small.app.{name}": {
            "unique_id": f"source.small.app.{name}", "resource_type": "source",
            "package_name": "small", "source_name": "app", "name": name, "schema": "raw_app",
            "config": {}, "original_file_path": "models/raw/app.yml",
            "columns": {each: column(each, level) for each, level in columns.items()},
        }
        for name, columns in SOURCES.items()
    }  # fmt: skip
    nodes: dict[str, Any] = {}
    for name in models:
        unique_id = f"model.small.{name}"
        columns = {
            each: column(each, level) for each, level in (declared or {}).get(name, {}).items()
        }
        nodes[unique_id] = {
            "unique_id": unique_id, "resource_type": "model", "package_name": "small",
            "name": name, "schema": "marts", "fqn": ["small", "marts", name],
            "config": {"access": "public", "post-hook": [(hooks or {})[name]] if hooks else []},
            "raw_code": models[name],
            "language": (languages or {}).get(name, "sql"),
            "original_file_path": f"models/marts/{name}.sql", "columns": columns,
            "depends_on": {"nodes": [*sources, *nodes]},
        }  # fmt: skip
    macros = [
        macro(name, kind, "../macros_lib/macros/anonymise.sql") for kind, name in KINDS.items()
    ]
    macros.append(macro("anonymise_softly", "hash", "macros/ours.sql"))
    catalog = from_manifest(
        {
            "metadata": {"project_name": "small"},
            "sources": sources,
            "nodes": nodes,
            "macros": {each["name"]: each for each in macros},
        }
    )
    sql = {f"model.small.{name}": text for name, text in models.items()}
    lineage = lineage_of(catalog, sql, dialect)
    return catalog, lineage, Classification(catalog, lineage)


def levels(sql: str, dialect: str = "duckdb") -> dict[str, str]:
    """What reaches each column of one model; `*` are columns whose names nobody can know."""
    _, lineage, classified = project({"m": sql}, dialect=dialect)
    flow = lineage["marts.m"]
    names = [*flow.columns, *(["*"] if flow.rest is not None else [])]
    return {name: classified.reaching("marts.m", name) for name in names}


def hidden(kind: str, sql: str) -> str:
    """As an anonymising macro writes it when the project is compiled for lineage."""
    return f"sluice_anonymised('{KINDS.get(kind, kind)}', {sql})"
