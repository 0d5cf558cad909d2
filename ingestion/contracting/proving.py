"""A data file held against a contract, exactly as the loader would: no platform is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from ingestion.contracting.promises import text_of
from ingestion.contracts import Contract, contract_of, tables_in
from ingestion.desk import Desk
from ingestion.inspection import Inspected, Numbered, Refusal, inspect
from ingestion.landing import LandedFile, Landing
from ingestion.ledger import SCHEMA, ensure_ledger
from ingestion.load import Unloadable, batch_of, load_files
from ingestion.raw import create_raw_table
from warehouse.clock import wall_clock
from warehouse.errors import WRONG_USE, ContractError
from warehouse.settings import Settings


@dataclass(frozen=True)
class BadRow:
    """A row that would be quarantined. A CSV's header is its row 1."""

    row: int
    column: str | None
    reason: str
    content: str


@dataclass(frozen=True)
class Proof:
    """What the loader would make of the file."""

    entity: str
    rows: int = 0
    refused: str = ""
    quarantined: int = 0
    bad_rows: tuple[BadRow, ...] = ()
    # Columns that the contract does not have, has under another name, or has and did not get.
    unknown: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        return not self.refused and not self.quarantined


def prove(file: Path, contract: Contract, *, show: int = 20) -> Proof:
    """The first `show` bad rows are told, all of them counted."""
    if not file.is_file():
        raise ContractError(
            f"There is no file {file}.",
            remedy="Name the data file to test.",
            exit_code=WRONG_USE,
        )
    with TemporaryDirectory(prefix="sluice-") as folder, _in_memory(contract) as connection:
        house = Settings(data_dir=Path(folder), landing=str(Path(folder) / "landing"))
        landed = _landed(Path(house.landing_url), file, contract)
        landing = Landing(house)
        looked = inspect(landing, contract, landed)
        if isinstance(looked, Refusal):
            return Proof(contract.name, refused=looked.reason)
        try:
            return _loaded(Desk(house, connection), landing, looked, show)
        except Unloadable as unloadable:
            return Proof(contract.name, refused=unloadable.refusal.reason)


def _loaded(desk: Desk, landing: Landing, looked: Inspected, show: int) -> Proof:
    numbered, contract, now = Numbered(1, looked), looked.contract, wall_clock()
    taken = load_files(desk, landing, contract, [numbered], now)
    batch = batch_of(numbered, taken, now)
    bad = desk.connection.execute(
        f"""select row_number, column_name, reason, coalesce(content, '')
            from {SCHEMA}.quarantine order by row_number limit {show}"""
    ).fetchall()
    return Proof(
        entity=contract.name,
        rows=batch.rows,
        quarantined=batch.quarantined,
        bad_rows=tuple(BadRow(*row) for row in bad),
        unknown=batch.drift.added,
        renamed=tuple(batch.drift.renamed.items()),
        missing=batch.drift.missing,
    )


@contextmanager
def _in_memory(contract: Contract) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set python_enable_replacements = false")
        connection.execute("set enable_progress_bar = false")
        ensure_ledger(connection)
        create_raw_table(connection, contract)
        yield connection


def _landed(landing: Path, file: Path, contract: Contract) -> LandedFile:
    folder = landing / contract.source / contract.entity
    folder.mkdir(parents=True)
    (folder / file.name).symlink_to(file.resolve())
    size = file.stat().st_size
    return LandedFile(contract.source, contract.entity, "", file.name, size, "")


def contract_for(file: Path, contract_file: Path, entity: str | None) -> Contract:
    """The named entity's, else the only one, else by how the file's name begins."""
    if not contract_file.is_file():
        raise ContractError(
            f"There is no contract {contract_file}.",
            remedy="Name a source YAML: --contract FILE.",
            exit_code=WRONG_USE,
        )
    found: Mapping[str, Contract] = {
        each.name: each
        for source, table in tables_in(text_of(contract_file), str(contract_file))
        for each in [contract_of(contract_file.name, source, table)]
    }
    if entity is not None:
        fits = [each for each in found.values() if entity in (each.name, each.entity)]
    elif len(found) == 1:
        fits = list(found.values())
    else:
        named = [each for each in found.values() if file.name.startswith(each.entity)]
        fits = sorted(named, key=lambda each: len(each.entity))[-1:]
    if len(fits) != 1:
        raise ContractError(
            f"Which table of {contract_file} is {file.name} meant for?",
            remedy=f"Say --table with one of {', '.join(found) or 'none: it has no tables'}.",
        )
    return fits[0]
