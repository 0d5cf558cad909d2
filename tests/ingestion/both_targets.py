"""The same tests on DuckDB and on PostgreSQL."""

from __future__ import annotations

import pytest

# A test with this mark is run with its `dock` on either target.
BOTH = pytest.mark.parametrize("dock", ["duckdb", "postgres"], indirect=True)
