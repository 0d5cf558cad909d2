"""A deploy is told of once, and going back to an earlier state of the project is one, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from platform_under_test import Demo

from catalog.catalog import load_catalog
from orchestration import deploys
from warehouse import platform_log
from warehouse.settings import Settings


def test_each_change_of_state_is_a_deploy_of_its_own(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Settings(data_dir=tmp_path / "data", dagster_home=tmp_path / "dagster")
    catalog = load_catalog(demo.sluice.settings)
    told = []
    for state in ("a", "a", "b", "a"):
        monkeypatch.setattr(deploys, "fingerprint", lambda state=state: state * 64)
        told.append(deploys.note_deploy(here, catalog))
    assert told[1] is None
    ids = [each for each in told if each is not None]
    assert len(set(ids)) == 3
    events = list(platform_log.read_newest_first(here, deploys.DEPLOYS))
    assert [each["deploy_id"] for each in events] == ids[::-1]
