"""`python -m quality [folder]`: validate every check file, as `make lint` does."""

from __future__ import annotations

import sys
from pathlib import Path

from catalog.catalog import load_catalog
from quality.checks import CHECKS_DIR, overdue, problems
from warehouse.clock import wall_clock
from warehouse.settings import settings


def main() -> int:
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else CHECKS_DIR
    catalog = load_catalog(settings())
    faults = problems(catalog, folder)
    for each in faults:
        sys.stderr.write(f"{each}\n")
    for warning in overdue(catalog, wall_clock().date(), folder):
        sys.stderr.write(f"warning: {warning}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
