"""Rows of files that landing has no more: a rebuild of raw cannot make them, so they stay."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.ledger import registered
from ingestion.raw import empty_raw_table, existing_columns
from warehouse.connection import ENGINE_ERRORS, Connection, named
from warehouse.errors import ContractError

_STAYING: Final = "sluice_staying"


def empty_but(connection: Connection, contract: Contract, files: Set[str]) -> int:
    """The contract's table anew, with nothing but the rows of these files. Gives their number."""
    present = existing_columns(connection).get((contract.place, contract.entity), {})
    with _kept_aside(connection, contract, files if present else frozenset()) as count:
        empty_raw_table(connection, contract)
        if not count:
            return 0
        now = existing_columns(connection)[contract.place, contract.entity]
        both = [name for name in now if name in present]
        values = ", ".join(f"cast({named(name)} as {now[name]})" for name in both)
        try:
            connection.execute(
                f"""insert into {contract.relation} ({", ".join(map(named, both))})
                    select {values} from {_STAYING}"""
            )
        except ENGINE_ERRORS as error:
            raise ContractError(
                f"{count:,} rows of {contract.name} whose files landing has let go do not fit its "
                f"contract of today: {str(error).splitlines()[0]}",
                remedy="Leave the column as it was and add one of another name; nothing was "
                "changed.",
            ) from error
        return count


@contextmanager
def _kept_aside(connection: Connection, contract: Contract, files: Set[str]) -> Iterator[int]:
    if not files:
        yield 0
        return
    table = pa.table({"file": pa.array(sorted(files), pa.string())})
    with registered(connection, "sluice_staying_files", table):
        connection.execute(
            f"""create temporary table {_STAYING} as select * from {contract.relation}
                where _source_file in (select file from sluice_staying_files)"""
        )
    [[count]] = connection.execute(f"select count(*) from {_STAYING}").fetchall()
    yield int(count)
    connection.execute(f"drop table {_STAYING}")
