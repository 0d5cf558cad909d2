"""The same day onto two histories: of one, only the last three months of events are kept.

Two histories of different length, each with its own next day, would compare days of different
size, because the company grows. What is not of a day (accounts, invoices) is the same in both: a
model that is built whole from it costs the same in both.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import psutil

from benchmarks.bench import Bench
from benchmarks.figures import Aim
from benchmarks.measure import sluice

LENGTHS = ("long", "short")
ROUNDS = 3
"""Days that are measured, one after the other; the median of their ratios counts."""


def on_duckdb(bench: Bench) -> None:
    _measure(bench, "DuckDB", ROUNDS)


def on_postgres(bench: Bench) -> None:
    """The CPU of the server counts as well: each length has a server of its own."""
    _measure(bench, "PostgreSQL", ROUNDS)


def _measure(bench: Bench, engine: str, rounds: int) -> None:
    histories = [_History(bench, engine, length) for length in LENGTHS]
    tell = bench.figures.tell
    with histories[0], histories[1]:
        whole = {each.length: each.run() for each in histories}
        days: dict[str, list[float]] = {each: [] for each in LENGTHS}
        for _ in range(rounds):
            for each in histories:
                each.next_day()
                days[each.length].append(each.run())
        nothing = {each.length: each.run() for each in histories}
    for length in LENGTHS:
        day = sorted(days[length])[rounds // 2]
        tell(f"{engine}, {length} history: whole run, CPU", whole[length], "s")
        tell(f"{engine}, {length} history: one more day, CPU", day, "s")
        tell(f"{engine}, {length} history: a run without news, CPU", nothing[length], "s")
        tell(f"{engine}, {length} history: one more day ÷ whole run", day / whole[length])
    ratios = sorted(one / other for one, other in zip(*days.values(), strict=True))
    tell(f"{engine}, one more day: long ÷ short history", ratios[rounds // 2],
         aim=Aim(0.8, 1.2))  # fmt: skip


class _History(AbstractContextManager["_History"]):
    """A data folder, and a server where the engine needs one."""

    def __init__(self, bench: Bench, engine: str, length: str) -> None:
        self.length = length
        self._where = bench.copy(f"{engine}-{length}", short=length == "short")
        self._on_server = engine == "PostgreSQL"
        self._server: AbstractContextManager[object] = nullcontext()
        self._environment: Mapping[str, str] = {}
        self._postmaster: psutil.Process | None = None

    def __enter__(self) -> _History:
        if self._on_server:
            from postgres_server import running

            self._server = running({"shared_buffers": "512MB", "max_wal_size": "8GB"})
            server = self._server.__enter__()
            self._environment = {"SLUICE_TARGET": "postgres", "SLUICE_POSTGRES": server.url}
            lines = (Path(server.host) / "data" / "postmaster.pid").read_text().splitlines()
            self._postmaster = psutil.Process(int(lines[0]))
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(None, None, None)
        shutil.rmtree(self._where)

    def next_day(self) -> None:
        sluice(self._where, "simulate", "--next-day", **self._environment)

    def run(self) -> float:
        before = self._of_server()
        used = sluice(self._where, "run", **self._environment)
        return used.cpu_seconds + self._of_server() - before

    def _of_server(self) -> float:
        """CPU of the server's processes, those that have ended included."""
        if self._postmaster is None:
            return 0.0
        own = self._postmaster.cpu_times()
        spent = own.user + own.system + own.children_user + own.children_system
        for child in self._postmaster.children():
            times = child.cpu_times()
            spent += times.user + times.system
        return float(spent)
