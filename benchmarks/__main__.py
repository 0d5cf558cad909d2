"""`make bench`: simulate, measure in pairs, print each ratio and keep it with its date."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Used, python, sluice
from warehouse.settings import PROJECT_ROOT

RESULTS = PROJECT_ROOT / "benchmarks" / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", default="medium", choices=["small", "medium", "large"])
    parser.add_argument("--days", type=int, default=455, help="length of the long history")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        figures = measure(Path(folder), arguments.size, arguments.days)
    keep(arguments.size, figures)


def measure(folder: Path, size: str, days: int) -> dict[str, float]:
    figures: dict[str, float] = {}

    def tell(name: str, value: float, unit: str = "×") -> None:
        figures[name] = round(value, 3)
        print(f"{value:9.2f} {unit}  {name}", flush=True)

    long = folder / "long"
    simulated = sluice(long, "simulate", "--size", size, "--days", str(days))
    tell("simulate the history, CPU", simulated.cpu_seconds, "s")

    # Loading: every source, against DuckDB reading the same files with the same types.
    idle = python(
        long,
        "-c",
        "import ingestion.load, quality.gate; import warehouse.dbt as d;"
        "from warehouse.settings import settings; d.ensure_manifest(settings())",
    )
    idle = python(
        long,
        "-c",
        "import ingestion.load, quality.gate; import warehouse.dbt as d;"
        "from warehouse.settings import settings; d.ensure_manifest(settings())",
    )
    ours = python(long, "-m", "benchmarks.ours", "load")
    plain = python(long, "-m", "benchmarks.straight", "load", str(long), str(folder / "l.duckdb"))
    tell("load: plain DuckDB ÷ ours (CPU; aim ≥ 0.7)", plain.cpu_seconds / net(ours, idle))
    tell("load: our peak memory", ours.peak_megabytes, "MB")

    # Full build: dbt, and dbt through Dagster with gates and publish, against the same SQL.
    parsed = folder / "parsed"
    shutil.copytree(long / "warehouse", parsed / "warehouse")
    shutil.copytree(long / "dbt", parsed / "dbt")
    start = python(parsed, "-m", "benchmarks.ours", "nothing")
    python(parsed, "-m", "benchmarks.ours", "seed")
    python(parsed, "-m", "benchmarks.ours", "compile")
    raw_copy = folder / "straight.duckdb"
    shutil.copy(parsed / "warehouse" / "workshop.duckdb", raw_copy)
    built = python(parsed, "-m", "benchmarks.ours", "build")
    straight = python(parsed, "-m", "benchmarks.straight", "build", str(parsed), str(raw_copy))
    tell("dbt's fixed start, CPU", start.cpu_seconds, "s")
    tell(
        "full build: dbt less its start ÷ raw DuckDB (CPU; aim ≤ 1.3)",
        net(built, start) / straight.cpu_seconds,
    )
    tell(
        "full build: dbt less its start ÷ raw DuckDB (wall)",
        (built.wall_seconds - start.wall_seconds) / straight.wall_seconds,
    )
    tell("full build: peak memory", built.peak_megabytes, "MB")
    shutil.rmtree(parsed)
    raw_copy.unlink()

    whole = sluice(long, "run")
    tell(
        "whole run (build, gates, publish) through Dagster ÷ dbt build (CPU)",
        whole.cpu_seconds / built.cpu_seconds,
    )
    tell("whole run: peak memory", whole.peak_megabytes, "MB")
    dagster = dagster_cost(folder, long, built)
    tell("dbt through Dagster ÷ dbt build (CPU; aim ≤ 1.2)", dagster)

    # One more day, after a long and after a short history.
    day_long = one_more_day(long)
    short = folder / "short"
    sluice(short, "simulate", "--size", size, "--days", str(max(days // 5, 30)))
    short_whole = sluice(short, "run")
    day_short = one_more_day(short)
    tell(
        "one more day ÷ full rebuild, long history (CPU)", day_long.cpu_seconds / whole.cpu_seconds
    )
    tell(
        "one more day ÷ full rebuild, short history (CPU)",
        day_short.cpu_seconds / short_whole.cpu_seconds,
    )
    tell(
        "one more day: long ÷ short history (CPU; aim 0.8 to 1.2)",
        day_long.cpu_seconds / day_short.cpu_seconds,
    )
    return figures


def net(used: Used, start: Used) -> float:
    return max(used.cpu_seconds - start.cpu_seconds, 0.01)


def one_more_day(data_dir: Path) -> Used:
    sluice(data_dir, "simulate", "--next-day")
    return sluice(data_dir, "run")


def dagster_cost(folder: Path, source: Path, built: Used) -> float:
    """The build steps alone, through Dagster, on a workshop that has its raw data."""
    again = folder / "dagster"
    shutil.copytree(source / "dbt", again / "dbt")
    shutil.copytree(source / "landing" / "platform", again / "landing" / "platform")
    shutil.copy(source / "landing" / "_clock.json", again / "landing" / "_clock.json")
    (again / "warehouse").mkdir()
    shutil.copy(source / "warehouse" / "workshop.duckdb", again / "warehouse" / "workshop.duckdb")
    python(again, "-m", "benchmarks.ours", "forget")
    used = python(again, "-m", "benchmarks.ours", "dagster")
    shutil.rmtree(again)
    return used.cpu_seconds / built.cpu_seconds


def keep(size: str, figures: dict[str, float]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y-%m-%d}-{size}.json"
    path.write_text(
        json.dumps({"measured_at": now.isoformat(timespec="seconds"), "size": size, **figures},
                   indent=2, ensure_ascii=False) + "\n"
    )  # fmt: skip
    print(f"kept in {path.relative_to(PROJECT_ROOT)}")


if __name__ == "__main__":
    main()
