"""A load and a full build, each against the same work without us."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from benchmarks.bench import Bench, net
from benchmarks.figures import Aim
from benchmarks.measure import Used, dbt, python

ROUNDS = 2
"""Each side so often, in turn; the least counts, since neighbours only ever add."""


def loading(bench: Bench) -> None:
    """Every source, against DuckDB reading the same files with the same types."""
    folder, figures, long = bench.folder, bench.figures, bench.copy("to_load")
    # The first call parses the project, which both need.
    python(long, "-m", "benchmarks.ours", "imports")
    idle = python(long, "-m", "benchmarks.ours", "imports")
    other = folder / "load.duckdb"
    plain_idle = python(long, "-m", "benchmarks.straight", "nothing", str(long), str(other))
    rounds = []
    for _ in range(ROUNDS):
        other.unlink(missing_ok=True)
        shutil.rmtree(long / "warehouse", ignore_errors=True)
        ours = python(long, "-m", "benchmarks.ours", "load")
        plain = python(long, "-m", "benchmarks.straight", "load", str(long), str(other))
        rounds.append((ours, plain))
    ours, plain = (least(each) for each in zip(*rounds, strict=True))
    other.unlink()
    shutil.rmtree(long)
    figures.tell("load: CPU", net(ours, idle), "s")
    figures.tell("load: plain DuckDB ÷ ours (CPU)", net(plain, plain_idle) / net(ours, idle),
                 aim=Aim(at_least=0.7))  # fmt: skip
    figures.tell("load: plain DuckDB ÷ ours (wall)",
                 (plain.wall_seconds - plain_idle.wall_seconds)
                 / (ours.wall_seconds - idle.wall_seconds))  # fmt: skip
    figures.tell("load: peak memory", ours.peak_megabytes, "MB")
    figures.tell("load: peak memory of plain DuckDB", plain.peak_megabytes, "MB")


def building(bench: Bench) -> None:
    """dbt against the same SQL in one DuckDB process; the steps of a run against dbt build."""
    folder, figures, long = bench.folder, bench.figures, bench.loaded
    python(long, "-m", "benchmarks.ours", "seed")
    python(long, "-m", "benchmarks.ours", "compile")
    start = python(long, "-m", "benchmarks.ours", "nothing")

    rounds = [(straight_build(folder, long), _with_dbt(folder, long)) for _ in range(ROUNDS)]
    straight, built = (least(each) for each in zip(*rounds, strict=True))
    figures.tell("dbt's fixed start, CPU", start.cpu_seconds, "s")
    figures.tell("full build: CPU of the SQL alone", straight.cpu_seconds, "s")
    figures.tell("full build: dbt less its start ÷ raw DuckDB (CPU)",
                 net(built, start) / straight.cpu_seconds, aim=Aim(at_most=1.3))  # fmt: skip
    figures.tell("full build: dbt less its start ÷ raw DuckDB (wall)",
                 (built.wall_seconds - start.wall_seconds) / straight.wall_seconds)  # fmt: skip
    figures.tell("full build: peak memory", built.peak_megabytes, "MB")
    figures.tell("full build: peak memory of raw DuckDB", straight.peak_megabytes, "MB")

    through_dagster(bench)


def _with_dbt(folder: Path, long: Path) -> Used:
    where = fresh(folder, long)
    used = python(where, "-m", "benchmarks.ours", "build")
    shutil.rmtree(where)
    return used


def least(rounds: Iterable[Used]) -> Used:
    return min(rounds, key=lambda used: used.cpu_seconds)


def through_dagster(bench: Bench) -> None:
    """The steps of a run against `dbt build`: every model of company and platform, every dbt test.

    Both start on the same rows, their project parsed before, and each with its own start. dbt is
    plain there: on a database of its own no gate of ours holds it up. What the gates evaluate
    besides is told apart, because `dbt build` has no such checks.
    """
    tell = bench.figures.tell
    ready = fresh(bench.folder, bench.loaded, "ready")
    python(ready, "-m", "benchmarks.ours", "raw_gates")
    sides = [(_plain(bench.folder, ready), _stepwise(bench.folder, ready)) for _ in range(ROUNDS)]
    plain, plain_start = (min(each) for each in zip(*(side[0] for side in sides), strict=True))
    ours, start, gates = (min(each) for each in zip(*(side[1] for side in sides), strict=True))
    shutil.rmtree(ready)
    tell("plain dbt build with its tests: CPU", plain, "s")
    tell("plain dbt's start: CPU", plain_start, "s")
    tell("steps of a run with gates: CPU", ours, "s")
    tell("start of Dagster and dbt: CPU", start, "s")
    tell("gates after each layer: CPU", gates, "s")
    tell("gates after each layer ÷ plain dbt build (CPU)", gates / plain, aim=Aim(at_most=0.15))
    tell("dbt through Dagster less the gates ÷ plain dbt build (CPU)", (ours - gates) / plain,
         aim=Aim(at_most=1.2))  # fmt: skip
    tell("dbt through Dagster with gates ÷ plain dbt build (CPU)", ours / plain)
    tell("dbt through Dagster less gates and starts ÷ dbt build less its start (CPU)",
         (ours - gates - start) / (plain - plain_start))  # fmt: skip


def _plain(folder: Path, ready: Path) -> tuple[float, float]:
    """CPU of a build, and of a dbt that builds nothing."""
    where = fresh(folder, ready)
    own = where / "warehouse" / "own.duckdb"
    (where / "warehouse" / "workshop.duckdb").rename(own)
    environment = {"SLUICE_WORKSHOP": str(own)}
    dbt(where, "parse", **environment)
    start = dbt(where, "ls", "--select", "metrics_time_spine", **environment)
    built = dbt(where, "build", "--exclude-resource-type", "unit_test", "seed", **environment)
    shutil.rmtree(where)
    return built.cpu_seconds, start.cpu_seconds


def _stepwise(folder: Path, ready: Path) -> tuple[float, float, float]:
    """CPU of the steps, of all that they need before the first one, and of the gates' checks."""
    where = fresh(folder, ready)
    steps = python(where, "-m", "benchmarks.ours", "dagster")
    start = python(where, "-m", "benchmarks.ours", "dagster_start")
    imports = python(where, "-m", "benchmarks.ours", "imports")
    gates = python(where, "-m", "benchmarks.ours", "gates")
    shutil.rmtree(where)
    return steps.cpu_seconds, start.cpu_seconds, net(gates, imports)


def straight_build(folder: Path, long: Path) -> Used:
    # The compiled SQL names the file.
    workshop = folder / "straight" / "workshop.duckdb"
    shutil.copytree(long / "warehouse", workshop.parent)
    used = python(long, "-m", "benchmarks.straight", "build", str(long), str(workshop))
    shutil.rmtree(workshop.parent)
    return used


def fresh(folder: Path, source: Path, name: str = "fresh") -> Path:
    """A workshop that has raw and seeds, and nothing that is built from them."""
    where = folder / name
    # What has landed never changes, but for what the platform says of itself.
    shutil.copytree(
        source / "landing",
        where / "landing",
        copy_function=os.link,
        ignore=shutil.ignore_patterns("platform", "_*"),
    )
    shutil.copytree(source / "landing" / "platform", where / "landing" / "platform")
    shutil.copy(source / "landing" / "_clock.json", where / "landing" / "_clock.json")
    for part in ("dbt", "warehouse", "dagster"):
        if (source / part).exists():
            shutil.copytree(source / part, where / part)
    return where
