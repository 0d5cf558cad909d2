"""A shop of three public tables, of which every build says the same marker in every row."""

from __future__ import annotations

from datetime import UTC, datetime

from serving.published import published_tables
from warehouse import snapshots, workshop
from warehouse.publish import PublicTable
from warehouse.settings import Settings
from warehouse.snapshots import PublicColumn

NAMES = ("orders", "customers", "totals")
SINCE = datetime(2026, 3, 1, tzinfo=UTC)


def build(settings: Settings, marker: int, rows: int = 1000) -> None:
    """Every table of the workshop says the same marker."""
    connection = workshop.connect(settings)
    connection.execute("create schema if not exists marts")
    for name in NAMES:
        connection.execute(
            f"drop table if exists marts.{name}; create table marts.{name} as"
            f" select {marker} as marker, i as position from generate_series(0, {rows - 1}) r(i)"
        )
    connection.close()


def plan(*stale: str) -> list[PublicTable]:
    return [
        PublicTable(
            name,
            f"marts.{name}",
            fresh=name not in stale,
            reason="gate raw.shop.orders is closed" if name in stale else "",
            since=SINCE if name in stale else None,
            owner="finance",
            tier=1,
            description=f"The company's {name}.",
            columns=(PublicColumn("marker", "Which build it was."), PublicColumn("gone", "Old.")),
        )
        for name in NAMES
    ]


def markers(settings: Settings, snapshot_id: str | None = None) -> dict[str, int]:
    connection = snapshots.open_published(settings, snapshot_id)
    try:
        found = {}
        for name in published_tables(connection):
            if not name.startswith("_"):
                row = connection.execute(f"select min(marker), max(marker) from {name}").fetchone()
                assert row is not None and row[0] == row[1]
                found[name] = row[0]
        return found
    finally:
        connection.close()
