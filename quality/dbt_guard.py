"""dbt's own command in front of a closed gate: a dbt-duckdb plugin (see dbt_project/profiles.yml).

`dbt build` asks before it builds anything (macros/consult_gates.sql). What lies below a closed
gate is refused; what it may build counts as not evaluated until a run has checked it. A step of
our own has asked already, and asks no second time.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from catalog.catalog import Catalog, load_catalog
from quality import downstream, gate
from quality.gate_state import is_gated
from warehouse import dbt, masks, workshop
from warehouse.errors import SluiceError
from warehouse.settings import PROJECT_ROOT, Settings, settings

FUNCTION = "sluice_consult_gates"


class Plugin(BasePlugin):  # type: ignore[misc]
    """Found by its name by dbt-duckdb."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        takes: list[Any] = ["VARCHAR[]", "VARCHAR"]
        # Another connection of this process may hold the file open since the last command.
        with suppress(duckdb.CatalogException):
            conn.create_function(FUNCTION, consult, takes, "VARCHAR", side_effects=True)

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Models hash with a key that no SQL shows."""
        masks.give_key(cursor, dbt.running_for() or settings())


def consult(unique_ids: Sequence[str], file: str) -> str:
    """Empty if these models may be built into this database file, else why not."""
    if dbt.is_running():
        return ""
    here = settings()
    if workshop.is_other_file(here, file):
        # A database of one's own: its tables are published by nobody.
        return ""
    try:
        workshop.hold_until_exit(here, "dbt by hand")
    except SluiceError as error:
        return str(error)
    # In a process of its own: reading the project anew in the middle of a dbt command breaks it.
    asked = subprocess.run(
        [sys.executable, "-m", __name__, *unique_ids],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        return f"The gates cannot be asked: {(asked.stderr.strip().splitlines() or ['?'])[-1]}"
    return asked.stdout.strip()


def _decide(here: Settings, catalog: Catalog, unique_ids: Sequence[str]) -> str:
    keys = [
        key
        for each in unique_ids
        if (key := catalog.keys_by_unique_id.get(each)) is not None
        and is_gated(catalog[key])
        and catalog[key].layer != "raw"
    ]
    can, withheld = downstream.buildable(catalog, gate.states(here, catalog.datasets), keys)
    if withheld:
        reasons = "; ".join(sorted(set(withheld.values())))
        names = ", ".join(sorted(catalog[key].name for key in withheld))
        return (
            f"Nothing was built. Below a closed gate: {names} ({reasons}). "
            "Leave them out (--exclude) or mend what closed it; `sluice status` says more."
        )
    gate.mark_pending(here, can, "")
    return ""


if __name__ == "__main__":
    sys.stdout.write(_decide(settings(), load_catalog(settings()), sys.argv[1:]))
