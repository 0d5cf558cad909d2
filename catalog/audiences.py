"""The policy as PostgreSQL's views and rights need it: by public table, what each role sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from catalog.catalog import Catalog
from catalog.classification import personal_columns
from catalog.leaks import called_rightly, kept_back
from catalog.policy import access_of, load_policy
from warehouse.audiences import Audience
from warehouse.publish import PublicTable
from warehouse.schemas import called
from warehouse.settings import Settings
from warehouse.snapshot_rows.views import Seen


def seen(settings: Settings, catalog: Catalog) -> dict[str, Seen]:
    """By public table, its personal columns and its audiences."""
    catalog = called_rightly(catalog, kept_back(settings))
    policy = load_policy(settings)
    writes = {name: each.writes for name, each in policy.roles.items()}
    return seen_of(catalog, access_of(catalog, policy), writes)


def readers(settings: Settings) -> tuple[str, ...]:
    """The roles that this environment makes on a server; who writes is the server's own."""
    return tuple(
        called(name) for name, role in load_policy(settings).roles.items() if not role.writes
    )


def seen_of(
    catalog: Catalog, access: Mapping[str, Mapping[str, Any]], writes: Mapping[str, bool]
) -> dict[str, Seen]:
    """`access`: by role and public table, as catalog.policy.access_of has it."""
    return {
        dataset.name: Seen(
            personal_columns(dataset),
            tuple(
                Audience(
                    role if writes[role] else called(role),
                    dict(tables[dataset.name].columns),
                    tables[dataset.name].rows,
                    writes[role],
                )
                for role, tables in sorted(access.items())
                if dataset.name in tables
            ),
        )
        for dataset in catalog.public()
    }


def given(
    settings: Settings, catalog: Catalog, tables: Sequence[PublicTable]
) -> tuple[PublicTable, ...]:
    """The tables with their audiences; DuckDB has no roles."""
    if settings.target == "duckdb":
        return tuple(tables)
    known = seen(settings, catalog)
    return tuple(replace(each, audiences=known[each.name].audiences) for each in tables)
