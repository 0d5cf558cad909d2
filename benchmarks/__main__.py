"""`make bench`: simulate, measure in pairs, tell each figure beside its aim, keep all of them."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.figures import Aim, Figures, keep
from benchmarks.measure import Used, dbt, python, sluice
from warehouse.settings import PROJECT_ROOT

SHORT_DAYS = 91
"""Of the long history's events, the short one has so many days."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", default="medium", choices=["small", "medium", "large"])
    parser.add_argument("--days", type=int, default=455, help="length of the long history")
    arguments = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        measure(Path(folder), arguments.size, arguments.days, figures)
    path = keep(figures.all, arguments.size, arguments.days)
    print(f"kept in {path.relative_to(PROJECT_ROOT)}")


def measure(folder: Path, size: str, days: int, figures: Figures) -> None:
    long = folder / "long"
    simulating(long, size, days, figures)
    loading(folder, long, figures)
    building(folder, long, figures)
    one_more_day(folder, long, figures)


def simulating(long: Path, size: str, days: int, figures: Figures) -> None:
    start = python(long, "-c", "import cli.main, ingestion.simulator.simulate")
    used = sluice(long, "simulate", "--size", size, "--days", str(days))
    events = sum(
        path.read_bytes().count(b"\n") for path in (long / "landing" / "events").glob("*/*/*")
    )
    figures.tell("events of the history", events, "events")
    figures.tell("simulate: events a second of CPU", events / net(used, start), "events/s",
                 Aim(at_least=300_000))  # fmt: skip
    figures.tell("simulate: peak memory", used.peak_megabytes, "MB")


def loading(folder: Path, long: Path, figures: Figures) -> None:
    """Every source, against DuckDB reading the same files with the same types."""
    # The first call parses the project, which both need.
    python(long, "-m", "benchmarks.ours", "imports")
    idle = python(long, "-m", "benchmarks.ours", "imports")
    ours = python(long, "-m", "benchmarks.ours", "load")
    other = folder / "load.duckdb"
    plain_idle = python(long, "-m", "benchmarks.straight", "nothing", str(long), str(other))
    plain = python(long, "-m", "benchmarks.straight", "load", str(long), str(other))
    other.unlink()
    figures.tell("load: CPU", net(ours, idle), "s")
    figures.tell("load: plain DuckDB ÷ ours (CPU)", net(plain, plain_idle) / net(ours, idle),
                 aim=Aim(at_least=0.7))  # fmt: skip
    figures.tell("load: peak memory", ours.peak_megabytes, "MB")
    figures.tell("load: peak memory of plain DuckDB", plain.peak_megabytes, "MB")


def building(folder: Path, long: Path, figures: Figures) -> None:
    """dbt against the same SQL in one DuckDB process; the steps of a run against dbt build."""
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


def one_more_day(folder: Path, long: Path, figures: Figures) -> None:
    """The same day onto two histories: of one, only the last three months of events are kept.

    Two histories of different length, each with its own next day, would compare days of different
    size, because the company grows.
    """
    short = folder / "short"
    for part in ("landing", "simulator", "books", "dbt"):
        ignored = shutil.ignore_patterns("platform") if part == "landing" else None
        shutil.copytree(long / part, short / part, ignore=ignored)
    received = sorted((short / "landing" / "events" / "events").iterdir())
    for day in received[:-SHORT_DAYS]:
        shutil.rmtree(day)
    # Both build from landing, so that nothing is left of the parts above.
    shutil.rmtree(long / "warehouse")
    whole, day, nothing = {}, {}, {}
    for name, where in (("long", long), ("short", short)):
        whole[name] = sluice(where, "run")
        sluice(where, "simulate", "--next-day")
        day[name] = sluice(where, "run")
        nothing[name] = sluice(where, "run")
        figures.tell(f"{name} history: whole run, CPU", whole[name].cpu_seconds, "s")
        figures.tell(f"{name} history: whole run, peak memory", whole[name].peak_megabytes, "MB")
        figures.tell(f"{name} history: one more day, CPU", day[name].cpu_seconds, "s")
        figures.tell(f"{name} history: a run without news, CPU", nothing[name].cpu_seconds, "s")
        figures.tell(f"{name} history: one more day ÷ whole run (CPU)",
                     day[name].cpu_seconds / whole[name].cpu_seconds)  # fmt: skip
    figures.tell("one more day: long ÷ short history (CPU)",
                 day["long"].cpu_seconds / day["short"].cpu_seconds, aim=Aim(0.8, 1.2))  # fmt: skip


def fresh(folder: Path, source: Path) -> Path:
    """A workshop that has raw and seeds, and nothing that is built from them."""
    where = folder / "fresh"
    for part in ("dbt", "landing/platform"):
        shutil.copytree(source / part, where / part)
    shutil.copy(source / "landing" / "_clock.json", where / "landing" / "_clock.json")
    shutil.copytree(source / "warehouse", where / "warehouse")
    return where


def net(used: Used, start: Used) -> float:
    return max(used.cpu_seconds - start.cpu_seconds, 0.01)


if __name__ == "__main__":
    main()
