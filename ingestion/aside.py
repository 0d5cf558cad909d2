"""A landed file that shall never be loaded: landing keeps it, the ledger knows why."""

from __future__ import annotations

import duckdb

from ingestion.landing import Landing
from ingestion.ledger import SCHEMA, ensure_ledger, set_aside_files, transaction
from warehouse import platform_log
from warehouse.clock import wall_clock
from warehouse.errors import SluiceError
from warehouse.settings import Settings
from warehouse.workshop import connect

LOG_KIND = "loads"


def set_aside(
    settings: Settings,
    file: str,
    because: str,
    *,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> None:
    """Have the loads ignore this file (its path below the landing root) from now on.

    The rows of a file that is loaded already stay until its source is replayed.
    """
    path = file.removeprefix(f"{Landing(settings).root}/").lstrip("/")
    if not because.strip():
        raise SluiceError(
            f"{path} is not set aside without a reason.",
            remedy="Say why: those who look for its rows later will ask.",
        )
    source = path.split("/")[0]
    if path not in {landed.path for landed in Landing(settings).files(source)}:
        raise SluiceError(
            f"{path} is not in the landing zone {settings.landing_url}.",
            remedy="Name it as the refusal does: <source>/<entity>/<date>/<file>.",
        )
    if connection is not None:
        _record(settings, connection, path, because)
        return
    own = connect(settings)
    try:
        _record(settings, own, path, because)
    finally:
        own.close()


def _record(
    settings: Settings, connection: duckdb.DuckDBPyConnection, path: str, because: str
) -> None:
    source, entity = [*path.split("/"), ""][:2]
    ensure_ledger(connection)
    if path in set_aside_files(connection):
        return
    with transaction(connection):
        connection.execute(
            f"insert into {SCHEMA}.set_aside values (?, ?, ?, ?, ?)",
            [path, source, entity, because, wall_clock()],
        )
    platform_log.append(
        settings,
        LOG_KIND,
        [
            {
                "outcome": "set_aside",
                "source": source,
                "entity": entity,
                "file": path,
                "reason": because,
            }
        ],
    )
