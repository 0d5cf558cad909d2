"""A dock of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from dock import CONTRACTS, Dock, House


@pytest.fixture
def dock(tmp_path: Path) -> Dock:
    dock = Dock(House(data_dir=tmp_path / "data", landing=""))
    dock.contract(CONTRACTS)
    return dock
