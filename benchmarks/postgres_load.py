"""What a load into PostgreSQL costs, against a plain COPY of the same rows, made ready as CSV.

CPU is that of this process and of its session on the server, so that rows a second are those of
one core.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
from pydantic import SecretStr

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Figures
from ingestion.contracts import read_contracts
from ingestion.load import load_source
from ingestion.raw import create_raw_table
from warehouse import postgres
from warehouse.settings import Settings
from warehouse.workshop import connect_file

SOURCE, ENTITY = "events", "events"
_BLOCK = 1024 * 1024


def loading(bench: Bench) -> None:
    from postgres_server import running

    with running() as server, tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        measure(bench.landing, server.url, Path(folder), bench.figures)


def measure(data_dir: Path, url: str, folder: Path, figures: Figures) -> None:
    here = Settings(data_dir=folder, landing=str(data_dir / "landing"))
    there = here.model_copy(update={"target": "postgres", "postgres": SecretStr(url)})
    contract = read_contracts(here)[SOURCE][ENTITY]
    csv = folder / "rows.csv"
    with closing(connect_file(here)) as connection:
        load_source(here, connection, SOURCE)
        [[rows]] = connection.execute(
            f"copy {contract.relation} to '{csv}' (format csv, header false)"
        ).fetchall()
    ours, plain = [], []
    for _ in range(3):
        with closing(postgres.connect(there)) as connection:
            connection.execute("drop schema if exists raw_ledger, raw_events cascade")
            ours.append(_cpu(connection, lambda c: load_source(there, c, SOURCE)))
        with closing(postgres.connect(there)) as connection:
            connection.execute("drop schema if exists raw_events cascade")
            create_raw_table(connection, contract)
            connection.execute(f"drop index raw_events._{ENTITY}_batches")
            plain.append(_cpu(connection, lambda c: _copy(c, contract.relation, csv)))
    figures.tell("load into PostgreSQL: rows", rows, "rows")
    figures.tell("load into PostgreSQL: rows a second of CPU", rows / min(ours), "rows/s",
                 Aim(at_least=50_000))  # fmt: skip
    figures.tell("load into PostgreSQL: plain COPY ÷ ours (CPU)", min(plain) / min(ours))


def _cpu(
    connection: postgres.PostgresConnection,
    work: Callable[[postgres.PostgresConnection], object],
) -> float:
    session = psutil.Process(connection.raw.info.backend_pid)

    def used() -> float:
        times = session.cpu_times()
        return float(times.user + times.system) + time.process_time()

    before = used()
    work(connection)
    return used() - before


def _copy(connection: postgres.PostgresConnection, relation: str, csv: Path) -> None:
    statement = f"copy {relation} from stdin (format csv)".encode()
    with connection.raw.cursor().copy(statement) as copy, csv.open("rb") as stream:
        while block := stream.read(_BLOCK):
            copy.write(block)
