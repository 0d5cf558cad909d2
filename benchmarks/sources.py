"""How fast data comes in: events to the collector, rows and changes out of a PostgreSQL.

Each way in runs as a process of its own; its CPU is told beside the time, since clients and servers
share this machine with it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from benchmarks.bench import Bench
from benchmarks.figures import Figures
from benchmarks.measure import command

BATCH, CLIENTS, COUNT = 100, 8, 200_000


@dataclass(frozen=True)
class Rate:
    what: str
    count: int
    wall: float
    cpu: float

    def tell(self, figures: Figures) -> None:
        figures.tell(f"{self.what}: a second (wall)", self.count / self.wall, "rows/s")
        figures.tell(f"{self.what}: a second of CPU", self.count / self.cpu, "rows/s")


def collector(bench: Bench, events: int = COUNT) -> None:
    """Batches of a hundred from eight connections, each waiting for its 202."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        os.environ.update(SLUICE_DATA_DIR=folder, EVENTS_WRITE_KEY="a-key-to-measure")
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _serve(writing)
        port = int(os.read(reading, 100))
        before = _cpu_of(pid)
        started = time.monotonic()
        latencies = _send(port, events // BATCH)
        wall, cpu = time.monotonic() - started, _cpu_of(pid) - before
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        landed = sum(
            path.read_bytes().count(b"\n") for path in Path(folder).glob("landing/events/*/*/*")
        )
    Rate("collector: events accepted and synced to the disk", landed, wall, cpu).tell(bench.figures)
    cuts = quantiles(latencies, n=100)
    answer = f"collector: answer to a batch of {BATCH}"
    bench.figures.tell(f"{answer}, median", cuts[49] * 1000, "ms")
    bench.figures.tell(f"{answer}, 99 in 100 within", cuts[98] * 1000, "ms")


def _serve(writing: int) -> None:
    from ingestion.connectors import fetching
    from ingestion.connectors.collecting import collect
    from warehouse.settings import settings

    def ready(url: str) -> None:
        os.write(writing, url.rpartition(":")[2].encode())

    connector = fetching.connector_of(settings(), "events")
    collect(settings(), connector, "127.0.0.1", 0, lambda fetched: None, ready)
    os._exit(0)


def _send(port: int, batches: int) -> list[float]:
    rows = [
        {
            "event_id": f"{n:016x}", "event_name": "report_created", "account_id": "acc_00000006",
            "user_id": "usr_00000036", "occurred_at": "2026-03-20T08:56:11.617Z",
            "sent_at": "2026-03-20T08:56:13.602Z",
            "context": {"platform": "web", "app_version": "4.12.0", "locale": "fr-FR"},
            "properties": {"feature": "reports", "duration_ms": 389, "items": 2},
        }
        for n in range(BATCH)
    ]  # fmt: skip
    body, latencies = json.dumps(rows).encode(), list[float]()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for _ in range(batches // CLIENTS):
            began = time.monotonic()
            connection.request("POST", "/v1/events", body, {"X-Write-Key": "a-key-to-measure"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 202:
                sys.exit(f"the collector answered {answer.status}")
            latencies.append(time.monotonic() - began)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def postgres(bench: Bench, rows: int = COUNT) -> None:
    """A snapshot of so many rows, then as many inserts and half as many updates, in one process."""
    import psycopg
    from postgres_server import running

    settings = {"wal_level": "logical", "max_wal_size": "8GB", "shared_buffers": "256MB"}
    with running(settings) as server, tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        os.environ.update(SLUICE_DATA_DIR=folder)
        with psycopg.connect(server.dsn, autocommit=True) as source:
            source.execute(
                "create table orders (id bigint primary key, customer text, amount numeric(18, 2), "
                "placed_at timestamptz, quantity int, is_paid bool, note text, kind varchar(20))"
            )
            insert = (
                "insert into orders select g, 'customer ' || g % 1000, g * 1.25, now(), g % 7, "
                "g % 2 = 0, 'a note about order ' || g, 'standard' "
                "from generate_series({}, {}) g"
            )
            source.execute(insert.format(1, rows).encode())
            _fetch(bench.figures, server.dsn, folder, "capture: rows of a snapshot")
            for start in range(rows + 1, 2 * rows, 1000):
                source.execute(insert.format(start, start + 999).encode())
            source.execute("update orders set quantity = 9 where id % 4 = 0")
            # The server does not tell of a commit that is not safe on its disk yet.
            source.execute("checkpoint")
        _fetch(bench.figures, server.dsn, folder, "capture: changes")


def _fetch(figures: Figures, dsn: str, folder: str, what: str) -> None:
    """In a process of its own, with the server's CPU beside it on this machine."""
    script = "import sys; from benchmarks.sources import capture; capture(sys.argv[1], sys.argv[2])"
    used = command([sys.executable, "-c", script, dsn, folder], os.environ)
    told = json.loads((Path(folder) / "fetched.json").read_text())
    Rate(what, told["rows"], told["wall"], told["cpu"]).tell(figures)
    figures.tell(f"{what}: peak memory", used.peak_megabytes, "MB")


def capture(dsn: str, folder: str) -> None:
    from ingestion.connectors.declaration import Connector
    from ingestion.connectors.postgres import fetch_postgres
    from ingestion.connectors.words import PostgresEntity, PostgresSource
    from ingestion.contracts import Column, Contract
    from warehouse.settings import settings

    columns = tuple(Column(name, "varchar") for name in ("change_id", "op", "changed_at"))
    contract = Contract("shop", "orders", "raw_shop", "jsonl", columns)
    connector = Connector(
        "shop", "bench.yml", PostgresSource(kind="postgres", url=dsn),
        {"orders": PostgresEntity(table="public.orders")}, {"orders": contract},
    )  # fmt: skip
    wall, cpu = time.monotonic(), time.process_time()
    fetched = fetch_postgres(settings(), connector, lambda text: None)
    told = {
        "rows": fetched.rows,
        "wall": time.monotonic() - wall,
        "cpu": time.process_time() - cpu,
    }
    (Path(folder) / "fetched.json").write_text(json.dumps(told))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
