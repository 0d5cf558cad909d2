"""A key of meta that is nearly one of ours is named; other people's keys are theirs."""

from __future__ import annotations

from small_project import project

from catalog.catalog import from_manifest
from catalog.meta_keys import misspelt

THEIRS = {"colour": "red", "data_owner": "x", "retention_days": 9, "format_version": 2}


def test_a_misspelt_key_is_named_with_the_one_that_was_meant() -> None:
    manifest = project({})[0].manifest
    sources = {name: {**each} for name, each in manifest["sources"].items()}
    leads = sources["source.small.app.leads"]
    leads["config"] = {"meta": {"ownr": "growth", "tier": 2, "tierr": 1, **THEIRS}}
    email = {"name": "email", "config": {"meta": {"clasification": "personal", "required": True}}}
    leads["columns"] = {**leads["columns"], "email": email}
    assert list(map(str, misspelt(from_manifest({**manifest, "sources": sources})))) == [
        "raw.app.leads says `ownr`; did you mean `owner`?",
        "raw.app.leads.email says `clasification`; did you mean `classification`?",
    ]
