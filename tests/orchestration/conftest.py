"""The process from which this test process' commands are forked, for companies to be killed."""

from __future__ import annotations

import platform_under_test
import pytest
from warm import Warm


@pytest.fixture(scope="session")
def warm() -> Warm:
    return platform_under_test.warm()
