"""One process that has imported everything, from which the commands of these tests are forked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from crash.company import Warm
from platform_under_test import Demo


@pytest.fixture(scope="session")
def warm(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    folder = tmp_path_factory.mktemp("warm")
    shutil.copytree(demo.sluice.folder / "data" / "dbt", folder / "data" / "dbt")
    started = Warm(folder)
    yield started
    started.close()
