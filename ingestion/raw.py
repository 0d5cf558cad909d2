"""Raw tables: a contract's columns, then what the platform knows of each row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import duckdb

from ingestion.contracts import Contract, Contracts
from ingestion.ledger import ensure_ledger
from warehouse.errors import ContractError

PLATFORM_COLUMNS: Final = (
    ("_extra", "json"),
    ("_batch_id", "bigint"),
    ("_source_file", "varchar"),
    ("_row_number", "bigint"),
    ("_loaded_at", "timestamptz"),
)
# As DuckDB spells the types that a contract may name.
_SPELLED: Final = {"timestamptz": "TIMESTAMP WITH TIME ZONE"}


def ensure_raw_tables(connection: duckdb.DuckDBPyConnection, contracts: Contracts) -> None:
    """Every contracted table exists, with every contracted column; dbt reads them all."""
    ensure_ledger(connection)
    existing = existing_columns(connection)
    for contract in _all(contracts):
        present = existing.get((contract.schema, contract.entity))
        if present is None:
            create_raw_table(connection, contract)
        else:
            _complete(connection, contract, present)


def create_raw_table(connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    columns = [(c.name, c.data_type) for c in contract.columns] + list(PLATFORM_COLUMNS)
    listed = ", ".join(f'"{name}" {data_type}' for name, data_type in columns)
    connection.execute(f'create schema if not exists "{contract.schema}"')
    connection.execute(f"create table {contract.relation} ({listed})")


def existing_columns(
    connection: duckdb.DuckDBPyConnection,
) -> dict[tuple[str, str], dict[str, str]]:
    """Names and types of the columns of every table of the raw schemas."""
    rows = connection.execute(
        """select schema_name, table_name, column_name, data_type from duckdb_columns()
           where database_name = current_database() and schema_name like 'raw\\_%' escape '\\'"""
    ).fetchall()
    tables: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, data_type in rows:
        tables.setdefault((schema, table), {})[column] = data_type
    return tables


def spelled(data_type: str) -> str:
    return _SPELLED.get(data_type, data_type.upper())


def _all(contracts: Contracts) -> Iterable[Contract]:
    return (contract for entities in contracts.values() for contract in entities.values())


def _complete(
    connection: duckdb.DuckDBPyConnection, contract: Contract, present: dict[str, str]
) -> None:
    for column in contract.columns:
        if column.name not in present:
            connection.execute(
                f'alter table {contract.relation} add column "{column.name}" {column.data_type}'
            )
        elif present[column.name] != spelled(column.data_type):
            raise ContractError(
                f"{contract.schema}.{contract.entity}.{column.name} holds "
                f"{present[column.name]}, and its contract now says {column.data_type}.",
                remedy=f"Rebuild it from landing: `sluice replay {contract.source}`.",
            )
