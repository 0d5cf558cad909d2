"""Deploys as events: when the project's files changed, from which commit, and what it consists of.

The first run after a change tells. What is derived from the log (lineage, coverage, lead time,
change failure rate) needs no other source than these events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from catalog.catalog import Catalog, Dataset
from catalog.changes import newest_commit
from quality.checks import CHECKS_DIR, CheckFileError
from quality.evaluate import declared
from warehouse import platform_log, project_files
from warehouse.clock import wall_clock
from warehouse.settings import Settings

DEPLOYS, DATASETS = "deploys", "datasets"


def note_deploy(settings: Settings, catalog: Catalog) -> str | None:
    """Tell of a deploy if the project is not the one that was last told of; its id, if so."""
    now = fingerprint()
    last = platform_log.newest(settings, DEPLOYS)
    if last is not None and last["fingerprint"] == now:
        return None
    # Going back to an earlier state is a deploy like any other.
    deploy_id = hashlib.sha256(f"{now} {wall_clock().isoformat()}".encode()).hexdigest()[:12]
    before = _shapes(settings, str(last["deploy_id"])) if last is not None else {}
    commit = newest_commit()
    described = [_described(catalog, each) for each in catalog.datasets.values()]
    platform_log.append(
        settings, DATASETS, [{"deploy_id": deploy_id, **each} for each in described]
    )
    # Last: a deploy that is told of has its datasets.
    platform_log.append(
        settings,
        DEPLOYS,
        [
            {
                "deploy_id": deploy_id,
                "fingerprint": now,
                **asdict(commit),
                "is_fix": commit.is_fix,
                "datasets_changed": sorted(
                    each["key"] for each in described if before.get(each["key"]) != each["shape"]
                ),
            }
        ],
    )
    return deploy_id


def fingerprint() -> str:
    digest = hashlib.sha256(project_files.fingerprint().encode())
    for path in sorted(CHECKS_DIR.rglob("*.yml")):
        digest.update(str(path.relative_to(CHECKS_DIR)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _shapes(settings: Settings, deploy_id: str) -> dict[str, str]:
    """By dataset, what it was at that deploy."""
    found: dict[str, str] = {}
    for event in platform_log.read_newest_first(settings, DATASETS):
        if event["deploy_id"] != deploy_id:
            break
        found[event["key"]] = event.get("shape", "")
    return found


def _described(catalog: Catalog, dataset: Dataset) -> dict[str, Any]:
    node = catalog.node(dataset)
    documented = sum(bool(each.description) for each in dataset.columns)
    return {
        "key": dataset.key,
        "name": dataset.name,
        "layer": dataset.layer,
        "source": dataset.source,
        "subject": dataset.subject,
        "owner": dataset.owner,
        "tier": dataset.tier,
        "classification": dataset.classification,
        "is_public": dataset.is_public,
        "is_about_platform": dataset.is_about_platform,
        "description_length": len(dataset.description),
        "documented_column_count": documented,
        "column_count": len(dataset.columns),
        "check_count": _check_count(catalog, dataset),
        "test_count": len(catalog.tests.get(dataset.key, ())),
        "parents": list(dataset.parents),
        "ancestors": sorted(catalog.ancestors(dataset.key)),
        "metrics": sorted(catalog.metrics_reading(dataset.key)),
        "service_level": dataset.meta.get("service_level"),
        "shape": _shape(node),
    }


def _check_count(catalog: Catalog, dataset: Dataset) -> int:
    if dataset.layer == "seeds":
        return 0
    try:
        return len(declared(catalog, dataset))
    except CheckFileError:
        return 0


def _shape(node: Mapping[str, Any]) -> str:
    """Changes with the dataset's SQL and with what its YAML promises."""
    parts: Iterable[object] = (
        (node.get("checksum") or {}).get("checksum"),
        sorted((name, each.get("data_type")) for name, each in node["columns"].items()),
        sorted((node["config"].get("meta") or {}).items(), key=str),
    )
    return hashlib.sha256(repr(list(parts)).encode()).hexdigest()[:16]
