"""Raw tables: a contract's columns, then what the platform knows of each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ingestion.contracts import Contract, Contracts
from ingestion.ledger import ensure_ledger
from warehouse import structure
from warehouse.connection import Connection, Engine, engine, literal
from warehouse.errors import ContractError
from warehouse.schemas import called

PLATFORM_COLUMNS: Final = (
    ("_extra", "json"),
    ("_batch_id", "bigint"),
    ("_source_file", "varchar"),
    ("_row_number", "bigint"),
    ("_loaded_at", "timestamptz"),
)
# As the engines spell the types that a contract may name, where they do so in another way.
_SPELLED: Final[dict[Engine, dict[str, str]]] = {
    "duckdb": {"timestamptz": "timestamp with time zone"},
    "postgres": {"timestamptz": "timestamp with time zone", "varchar": "text"},
}
# Texts compare byte by byte on both engines, whatever the language of the server.
_CREATED: Final[dict[Engine, dict[str, str]]] = {
    "duckdb": {},
    "postgres": {"varchar": 'text collate "C"'},
}


# Smaller reads less beside what is asked for; 16 pages hold some 700 rows.
_PAGES: Final = 16
# A tenth more rows, and PostgreSQL looks again at what they are like.
_NEWS: Final = 0.1


def ensure_raw_tables(connection: Connection, contracts: Contracts) -> None:
    """Every contracted table exists, with every contracted column; dbt reads them all."""
    ensure_ledger(connection)
    existing = existing_columns(connection)
    for contract in _all(contracts):
        present = existing.get((contract.place, contract.entity))
        if present is None:
            create_raw_table(connection, contract)
        else:
            _complete(connection, contract, present)


def create_raw_table(connection: Connection, contract: Contract) -> None:
    kinds = _CREATED[engine(connection)]
    listed = ", ".join(f'"{name}" {kinds.get(kind, kind)}' for name, kind in _columns(contract))
    connection.execute(f'create schema if not exists "{contract.place}"')
    connection.execute(f"create table {contract.relation} ({listed})")
    if engine(connection) == "postgres":
        connection.execute(
            f"""create index {_index(contract)} on {contract.relation}
                using brin (_batch_id) with (pages_per_range = {_PAGES})"""
        )


def tidy(
    connection: Connection, contracts: Mapping[str, Contract], rows: Mapping[str, int]
) -> None:
    """After a load of so many rows by entity: PostgreSQL finds them, and knows that they are many.

    Rows arrive in the order of their batches, so an index of a few pages tells where these lie,
    at a third of the cost of a tree; but it looks at new pages only when told. DuckDB does both.
    """
    if engine(connection) != "postgres":
        return
    for contract in (contracts[entity] for entity, count in rows.items() if count):
        index = literal(f'"{contract.place}".{_index(contract)}')
        connection.execute(f"select brin_summarize_new_values({index})")
        [[known]] = connection.execute(
            f"select reltuples from pg_class where oid = {literal(contract.relation)}::regclass"
        ).fetchall()
        if rows[contract.entity] > known * _NEWS:
            connection.execute(f"analyze {contract.relation}")


def empty_raw_table(connection: Connection, contract: Contract) -> None:
    """The contract's table without rows, whatever it was before."""
    if engine(connection) == "postgres":
        present = existing_columns(connection).get((contract.place, contract.entity), {})
        if present == {name: spelled(connection, kind) for name, kind in _columns(contract)}:
            connection.execute(f"truncate table {contract.relation}")
            return
    # PostgreSQL: staging's views hang on the table; the next build makes them anew.
    cascade = "cascade" if engine(connection) == "postgres" else ""
    connection.execute(f"drop table if exists {contract.relation} {cascade}")
    create_raw_table(connection, contract)


def rename(connection: Connection, contract: Contract, old: str, new: str) -> None:
    connection.execute(f'alter table {contract.relation} rename column "{old}" to "{new}"')


def widen(connection: Connection, contract: Contract, column: str, data_type: str) -> None:
    """Another type for a column whose every value fits into it."""
    if engine(connection) == "duckdb":
        connection.execute(f'alter table {contract.relation} alter "{column}" type {data_type}')
        return
    # No view may hang on a column whose type changes; the next build makes it anew.
    for statement in (
        "begin",
        f'alter table {contract.relation} add "_wider" {data_type}',
        f'update {contract.relation} set "_wider" = "{column}"',
        f'alter table {contract.relation} drop "{column}" cascade',
        f'alter table {contract.relation} rename "_wider" to "{column}"',
        "commit",
    ):
        connection.execute(statement)


def shed(connection: Connection, contract: Contract) -> None:
    """Columns go that the contract does not name any more."""
    present = existing_columns(connection).get((contract.place, contract.entity), {})
    cascade = "cascade" if engine(connection) == "postgres" else ""
    for name in sorted(present.keys() - dict(_columns(contract)).keys()):
        connection.execute(f'alter table {contract.relation} drop "{name}" {cascade}')


def existing_columns(connection: Connection) -> dict[tuple[str, str], dict[str, str]]:
    """Names and types of the columns of every table of the raw schemas, as contracts say them."""
    return {
        (schema, table): {
            name: kind.lower().replace("numeric", "decimal") for name, kind in columns.items()
        }
        for (schema, table), columns in structure.columns(connection).items()
        if schema.startswith(called("raw_"))
    }


def _index(contract: Contract) -> str:
    return f'"_{contract.entity}_batches"'


def _columns(contract: Contract) -> list[tuple[str, str]]:
    return [(c.name, c.data_type) for c in contract.columns] + list(PLATFORM_COLUMNS)


def spelled(connection: Connection, data_type: str) -> str:
    return _SPELLED[engine(connection)].get(data_type, data_type)


def _all(contracts: Contracts) -> Iterable[Contract]:
    return (contract for entities in contracts.values() for contract in entities.values())


def _complete(connection: Connection, contract: Contract, present: dict[str, str]) -> None:
    for column in contract.columns:
        if column.name not in present:
            kind = _CREATED[engine(connection)].get(column.data_type, column.data_type)
            connection.execute(f'alter table {contract.relation} add column "{column.name}" {kind}')
        elif present[column.name] != spelled(connection, column.data_type):
            raise ContractError(
                f"{contract.place}.{contract.entity}.{column.name} holds "
                f"{present[column.name]}, and its contract now says {column.data_type}.",
                remedy=f"Rebuild it from landing: `sluice replay {contract.source}`, or in steps: "
                f"`sluice backfill plan --source {contract.source}`.",
            )
