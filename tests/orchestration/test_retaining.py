"""Who needs what has come, as a run knows it: gates that are not open, pinned snapshots."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from small_project import project

from orchestration.retaining import protected_batches, readers
from quality import gate
from quality.evaluation import CheckResult, Evaluation, closed
from warehouse.settings import Settings

LOADED = datetime(2026, 1, 1, tzinfo=UTC)


def open_(key: str) -> Evaluation:
    return Evaluation(key, (CheckResult("rows", "rows", "rows", "pass"),))


def test_batches_stay_while_a_gate_below_them_is_shut_or_a_snapshot_of_them_is_pinned(
    tmp_path: Path,
) -> None:
    here = Settings(data_dir=tmp_path)
    catalog, _, _ = project(
        {
            "m": 'select email from "raw_app"."users"',
            "n": 'select lead_id from "raw_app"."leads"',
        }
    )
    models = ("marts.m", "marts.n")
    raw = [each.key for each in catalog.layer("raw")]

    def needed(entity: str) -> list[str]:
        found = protected_batches(here, catalog)
        return [each.because for each in found if each.holds(entity, [1], LOADED)]

    assert "the gate of raw.app.users is not judged yet" in needed("app.users")
    gate.record(here, [open_(each) for each in (*raw, *models)], "run")
    assert protected_batches(here, catalog) == []
    gate.record(here, [closed("marts.n", "rows", "none")], "run")
    # The manifest of this project has every model read every source, and those before it.
    assert needed("app.leads") == ["the gate of marts.n is closed"]
    gate.record(here, [open_("marts.n")], "run")
    pin = {"reason": "audit", "by": "ada", "pinned_at": "2026-01-02T00:00:00+00:00", "until": None}
    (here.published_dir / "pins").mkdir(parents=True)
    (here.published_dir / "pins" / "20260102-000000-000000.json").write_text(json.dumps(pin))
    assert needed("app.users") == [
        "snapshot 20260102-000000-000000 is made of it, pinned by ada: audit"
    ]
    [protection] = protected_batches(here, catalog)
    assert not protection.holds("app.users", [2], datetime(2026, 1, 3, tzinfo=UTC))
    assert [each.name for each in readers(catalog)["app.users"]] == ["m", "n"]
    assert not any(each.is_touched for each in readers(catalog)["app.users"])
