"""What the gates cost beside the build that they guard: one process, one workshop, CPU only.

`python -m benchmarks.gating <data dir>` on a folder in which `sluice demo` has run; it builds
there again.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from pathlib import Path

from benchmarks.measure import PROJECT_ROOT, python


def gates_share(data_dir: Path) -> float:
    """Gates' CPU ÷ build CPU (dbt with its data tests), of every gated dataset."""
    python(data_dir, "-m", "benchmarks.gating", str(data_dir))
    return float(json.loads(_result(data_dir).read_text())["share"])


def _result(data_dir: Path) -> Path:
    return data_dir / "gates_share.json"


def _measure() -> dict[str, float]:
    from benchmarks.ours import forget
    from catalog.catalog import load_catalog
    from quality.evaluate import evaluate
    from quality.gate_state import is_gated
    from warehouse import dbt
    from warehouse.settings import settings
    from warehouse.workshop import connect

    catalog = load_catalog(settings())
    keys = [key for key, each in catalog.datasets.items() if is_gated(each)]
    forget()
    dbt.run(settings(), ["ls", "--select", "metrics_time_spine"])
    started = time.process_time()
    outcome = dbt.run(settings(), ["build", "--exclude-resource-type", "unit_test"])
    built = time.process_time() - started
    if not outcome.success:
        sys.exit(outcome.error or "the build failed")
    with closing(connect(settings())) as connection:
        evaluate(settings(), catalog, connection, keys[:1])
        started = time.process_time()
        evaluations = evaluate(settings(), catalog, connection, keys)
        gated = time.process_time() - started
    checks = sum(len(each.checks) for each in evaluations)
    return {"build": built, "gates": gated, "checks": checks, "share": gated / built}


if __name__ == "__main__":
    found = _measure()
    _result(Path(sys.argv[1])).write_text(json.dumps(found))
    print(
        f"{PROJECT_ROOT.name}: {found['checks']} checks, gates {found['gates']:.2f} s of CPU,"
        f" build {found['build']:.2f} s: {100 * found['share']:.1f} %"
    )
