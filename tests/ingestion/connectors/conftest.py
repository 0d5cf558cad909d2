"""A quay of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from quay import Quay, quay_in


@pytest.fixture
def quay(tmp_path: Path) -> Quay:
    return quay_in(tmp_path)
