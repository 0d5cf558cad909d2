"""Which metrics have answered on what they read now: these need not be asked again.

A file beside the snapshots remembers, per metric, which state of its tables it was asked on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping

from serving.definitions import Metric
from serving.metrics import last_day
from serving.semantics import load_semantics
from warehouse import snapshots
from warehouse.published_already import shown
from warehouse.settings import Settings

FILE = "metrics_asked.json"


def marks(settings: Settings, metrics: Iterable[Metric]) -> dict[str, str]:
    """By metric, what changes with the rows it reads, with its meaning and with its newest day."""
    snapshot_id = snapshots.current_id(settings)
    if snapshot_id is None:
        return {}
    written = {
        name: each.written_in for name, each in shown(settings, snapshot_id).versions.items()
    }
    semantics = load_semantics(settings)
    path = settings.dbt_target_path / "semantic_manifest.json"
    meaning = hashlib.sha256(path.read_bytes()).hexdigest()
    found: dict[str, str] = {}
    by_tables: dict[frozenset[str], str] = {}
    for metric in metrics:
        tables = semantics.tables(metric.name)
        if tables not in by_tables:
            rows = [(each, written.get(each)) for each in sorted(tables)]
            parts = repr((meaning, rows, last_day(settings, [metric.name])))
            by_tables[tables] = hashlib.sha256(parts.encode()).hexdigest()[:16]
        found[metric.name] = by_tables[tables]
    return found


def remembered(settings: Settings) -> dict[str, str]:
    try:
        return dict(json.loads((settings.published_dir / FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def remember(settings: Settings, now: Mapping[str, str], answered: Collection[str]) -> None:
    """Those that did not answer are forgotten, and asked again."""
    asked = {name: mark for name, mark in now.items() if name in answered}
    path = settings.published_dir / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(asked, indent=1))
    aside.replace(path)
