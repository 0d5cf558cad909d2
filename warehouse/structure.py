"""Which tables and views a warehouse has, and of which columns and types."""

from __future__ import annotations

from typing import Final

from warehouse.connection import ENGINE_ERRORS, Connection, engine, literal

_DUCKDB: Final = """
    select schema_name, table_name, column_name, data_type from duckdb_columns()
    where not internal and database_name = coalesce(nullif({catalog}, ''), current_database())
    order by column_index"""
_POSTGRES: Final = """
    select nspname, relname, attname, format_type(atttypid, atttypmod)
    from pg_attribute
    inner join pg_class on attrelid = pg_class.oid
    inner join pg_namespace on relnamespace = pg_namespace.oid
    where attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v', 'm')
        and nspname <> 'information_schema' and nspname not like 'pg\\_%'
    order by attnum"""
# PostgreSQL's own words for the types that our YAML names.
_SPELLED: Final = {
    "varchar": "text",
    "character varying": "text",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "double": "double precision",
    "float8": "double precision",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "hugeint": "numeric",
    "bool": "boolean",
    "decimal": "numeric",
}
_duckdb_types: dict[str, str] = {}


def columns(connection: Connection, catalog: str = "") -> dict[tuple[str, str], dict[str, str]]:
    """By schema and name, every table's and view's columns with their types, at one look."""
    is_duckdb = engine(connection) == "duckdb"
    rows = connection.execute(
        _DUCKDB.format(catalog=literal(catalog)) if is_duckdb else _POSTGRES
    ).fetchall()
    found: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, kind in rows:
        found.setdefault((schema, table), {})[column] = kind if is_duckdb else _postgres_type(kind)
    return found


def exists(connection: Connection, schema: str, name: str) -> bool:
    rows = connection.execute(
        "select 1 from information_schema.tables where table_catalog = current_database()"
        " and table_schema = ? and table_name = ?",
        [schema, name],
    ).fetchall()
    return bool(rows)


def spelled(connection: Connection, data_type: str) -> str:
    """A declared type as `columns` gives it."""
    if engine(connection) != "duckdb":
        return _postgres_type(data_type)
    if data_type not in _duckdb_types:
        try:
            row = connection.execute(f"select typeof(null::{data_type})").fetchone()
        except ENGINE_ERRORS:
            row = None
        _duckdb_types[data_type] = str(row[0]) if row else f"{data_type} (no such type)"
    return _duckdb_types[data_type]


def _postgres_type(data_type: str) -> str:
    """Its usual name; a text is a text, whether `varchar` or `text`."""
    name, bracket, size = data_type.strip().lower().partition("(")
    usual = _SPELLED.get(name.strip(), name.strip())
    return usual if usual == "text" else usual + bracket + size.replace(" ", "")
