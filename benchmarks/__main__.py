"""`make bench`: everything that is measured, part by part; each figure beside its aim, all kept.

A part alone: `python -m benchmarks --only load`. Ratios are of CPU unless they say otherwise, since
other work on the machine lengthens the time and hardly the CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    building,
    one_more_day,
    postgres_load,
    postgres_publish,
    postgres_tables,
    publishing,
    sources,
)
from benchmarks.bench import Bench
from benchmarks.figures import Figures, keep
from warehouse.settings import PROJECT_ROOT

PARTS: dict[str, Callable[[Bench], None]] = {
    "load": building.loading,
    "build": building.building,
    "day": one_more_day.on_duckdb,
    "publish": publishing.publishing,
    "postgres_load": postgres_load.loading,
    "postgres_tables": postgres_tables.asking,
    "postgres_publish": postgres_publish.publishing,
    "postgres_day": one_more_day.on_postgres,
    "collector": sources.collector,
    "postgres_capture": sources.postgres,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be repeated")
    parser.add_argument("--size", default="medium", choices=["small", "medium", "large"])
    parser.add_argument("--days", type=int, default=455, help="length of the long history")
    arguments = parser.parse_args()
    figures = Figures()
    # Parts on a server start it as the tests do.
    sys.path.insert(0, str(PROJECT_ROOT / "tests"))
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        bench = Bench(Path(folder), arguments.size, arguments.days, figures)
        for name in arguments.only or PARTS:
            print(f"— {name}", flush=True)
            PARTS[name](bench)
            # After each part: what was measured is not lost with the next one.
            path = keep(figures.all, arguments.size, arguments.days)
    print(f"kept in {path.relative_to(PROJECT_ROOT)}")


if __name__ == "__main__":
    main()
