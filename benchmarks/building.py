"""A load and a full build, each against the same work without us."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.bench import Bench, net
from benchmarks.figures import Aim
from benchmarks.measure import Used, dbt, python


def loading(bench: Bench) -> None:
    """Every source, against DuckDB reading the same files with the same types."""
    folder, figures, long = bench.folder, bench.figures, bench.copy("to_load")
    # The first call parses the project, which both need.
    python(long, "-m", "benchmarks.ours", "imports")
    idle = python(long, "-m", "benchmarks.ours", "imports")
    ours = python(long, "-m", "benchmarks.ours", "load")
    other = folder / "load.duckdb"
    plain_idle = python(long, "-m", "benchmarks.straight", "nothing", str(long), str(other))
    plain = python(long, "-m", "benchmarks.straight", "load", str(long), str(other))
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

    straight = straight_build(folder, long)
    with_dbt = fresh(folder, long)
    built = python(with_dbt, "-m", "benchmarks.ours", "build")
    shutil.rmtree(with_dbt)
    figures.tell("dbt's fixed start, CPU", start.cpu_seconds, "s")
    figures.tell("full build: CPU of the SQL alone", straight.cpu_seconds, "s")
    figures.tell("full build: dbt less its start ÷ raw DuckDB (CPU)",
                 net(built, start) / straight.cpu_seconds, aim=Aim(at_most=1.3))  # fmt: skip
    figures.tell("full build: dbt less its start ÷ raw DuckDB (wall)",
                 (built.wall_seconds - start.wall_seconds) / straight.wall_seconds)  # fmt: skip
    figures.tell("full build: peak memory", built.peak_megabytes, "MB")
    figures.tell("full build: peak memory of raw DuckDB", straight.peak_megabytes, "MB")

    # Models and their tests on both sides; what the gates cost is told apart.
    plainly = fresh(folder, long)
    plain = dbt(plainly, "build", "--exclude-resource-type", "unit_test", "seed")
    shutil.rmtree(plainly)
    through = fresh(folder, long)
    python(through, "-m", "benchmarks.ours", "raw_gates")
    stepwise = python(through, "-m", "benchmarks.ours", "dagster")
    imports = python(through, "-m", "benchmarks.ours", "imports")
    gates = net(python(through, "-m", "benchmarks.ours", "gates"), imports)
    shutil.rmtree(through)
    figures.tell("plain dbt build with its tests: CPU", plain.cpu_seconds, "s")
    figures.tell("gates after each layer: CPU", gates, "s")
    figures.tell("gates after each layer ÷ plain dbt build (CPU)", gates / plain.cpu_seconds,
                 aim=Aim(at_most=0.15))  # fmt: skip
    ratio = (stepwise.cpu_seconds - gates) / plain.cpu_seconds
    figures.tell("dbt through Dagster less the gates ÷ plain dbt build (CPU)", ratio,
                 aim=Aim(at_most=1.2))  # fmt: skip
    figures.tell("dbt through Dagster with gates ÷ plain dbt build (CPU)",
                 stepwise.cpu_seconds / plain.cpu_seconds)  # fmt: skip


def straight_build(folder: Path, long: Path) -> Used:
    # The compiled SQL names the file.
    workshop = folder / "straight" / "workshop.duckdb"
    shutil.copytree(long / "warehouse", workshop.parent)
    used = python(long, "-m", "benchmarks.straight", "build", str(long), str(workshop))
    shutil.rmtree(workshop.parent)
    return used


def fresh(folder: Path, source: Path) -> Path:
    """A workshop that has raw and seeds, and nothing that is built from them."""
    where = folder / "fresh"
    for part in ("dbt", "landing/platform"):
        shutil.copytree(source / part, where / part)
    shutil.copy(source / "landing" / "_clock.json", where / "landing" / "_clock.json")
    shutil.copytree(source / "warehouse", where / "warehouse")
    return where
