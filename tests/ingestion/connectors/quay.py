"""A platform with one declared connector: fetch, load, look at the rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dock import Dock, House

from ingestion.connectors.delivery import Stream
from ingestion.connectors.fetching import fetch
from ingestion.connectors.outcome import Fetched
from ingestion.load import LoadResult
from warehouse.platform_log import read_newest_first


@dataclass
class Quay:
    """A dock whose source `shop` is fetched."""

    dock: Dock

    def declare(self, connector: Mapping[str, Any], *tables: Mapping[str, Any]) -> None:
        source = {
            "name": "shop",
            "schema": "raw_shop",
            "config": {"meta": {"connector": connector}},
            "tables": list(tables),
        }
        self.dock.contract(yaml.safe_dump({"sources": [source]}))

    def fetch(self) -> Fetched:
        return fetch(self.dock.settings, "shop", lambda text: None)

    def load(self) -> LoadResult:
        return self.dock.load("shop")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.dock.query(sql)

    def landed(self) -> list[str]:
        """Files that the loader sees."""
        return [path for path in self.everything() if "/." not in f"/{path}"]

    def everything(self) -> list[str]:
        root = Path(self.dock.settings.landing_url) / "shop"
        return sorted(
            str(Path(folder, name).relative_to(root))
            for folder, _, names in os.walk(root)
            for name in names
        )

    def content(self, path: str) -> bytes:
        return Path(self.dock.settings.landing_url, "shop", path).read_bytes()

    def cursor(self, stream: str) -> dict[str, Any]:
        return Stream(self.dock.settings, "shop", stream).cursor

    def log(self, outcome: str) -> list[dict[str, Any]]:
        events = read_newest_first(self.dock.settings, "fetches")
        return [each for each in events if each["outcome"] == outcome]


def quay_in(folder: Path) -> Quay:
    return Quay(Dock(House(data_dir=folder / "data", landing="")))


def table(
    name: str,
    columns: Mapping[str, str],
    *,
    format: str = "jsonl",
    connector: Mapping[str, Any] | None = None,
    required: tuple[str, ...] = (),
    **meta: Any,
) -> dict[str, Any]:
    its = {"format": format, **meta}
    if connector is not None:
        its["connector"] = dict(connector)
    return {
        "name": name,
        "config": {"meta": its},
        "columns": [
            {
                "name": column,
                "data_type": kind,
                "config": {"meta": {"required": column in required}},
            }
            for column, kind in columns.items()
        ],
    }
