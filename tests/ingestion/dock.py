"""Where loads are tested: contracts, a landing zone and a workshop of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.types.string import TextLoader

from ingestion.load import LoadResult, load_source
from warehouse.connection import Connection
from warehouse.platform_log import read_newest_first
from warehouse.postgres import PostgresConnection
from warehouse.settings import Settings
from warehouse.workshop import connect

CONTRACTS = """
sources:
  - name: shop
    schema: raw_shop
    tables:
      - name: orders
        config: {meta: {format: jsonl, key: [order_id], max_line_bytes: 100000}}
        columns:
          - {name: order_id, data_type: varchar, config: {meta: {required: true}}}
          - {name: amount, data_type: "decimal(18,2)", config: {meta: {required: true}}}
          - {name: placed_at, data_type: timestamptz, config: {meta: {required: true}}}
          - {name: item_count, data_type: bigint}
          - {name: shipped_on, data_type: date}
          - {name: lines, data_type: json}
      - name: visitors
        config: {meta: {format: csv, key: [visitor_id], max_line_bytes: 100000}}
        columns:
          - {name: visitor_id, data_type: varchar, config: {meta: {required: true}}}
          - {name: company, data_type: varchar, config: {meta: {aliases: [company_name]}}}
          - {name: visits, data_type: bigint, config: {meta: {required: true}}}
          - {name: is_member, data_type: boolean}
      - name: stock
        config: {meta: {format: parquet, key: [item_id]}}
        columns:
          - {name: item_id, data_type: varchar, config: {meta: {required: true}}}
          - {name: price, data_type: "decimal(18,2)", config: {meta: {required: true}}}
          - {name: counted_at, data_type: timestamptz}
  - name: press
    schema: raw_press
    tables:
      - name: articles
        config: {meta: {format: jsonl, key: [article_id]}}
        columns:
          - {name: article_id, data_type: varchar, config: {meta: {required: true}}}
"""


class House(Settings):
    """Settings whose contracts lie beside the data."""

    @property
    def dbt_project_dir(self) -> Path:
        return self.data_dir / "dbt_project"


def order(order_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "amount": "12.50",
        "placed_at": "2025-03-01T10:00:00.000Z",
        "item_count": 2,
        "shipped_on": None,
        "lines": [{"sku": "a"}],
    } | changes


def json_lines(*rows: Mapping[str, Any] | str) -> bytes:
    texts = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    return "".join(f"{text}\n" for text in texts).encode()


def looked_at(settings: Settings) -> Connection:
    """The workshop, JSON as the text that it is."""
    connection = connect(settings)
    if isinstance(connection, PostgresConnection):
        connection.raw.adapters.register_loader("json", TextLoader)
    return connection


@dataclass
class Dock:
    """Where a test lands files, loads them, and looks at what came of it."""

    settings: House

    def contract(self, text: str) -> None:
        folder = self.settings.dbt_project_dir / "models" / "raw"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "contracts.yml").write_text(text)

    def change_contract(self, old: str, new: str) -> None:
        path = self.settings.dbt_project_dir / "models" / "raw" / "contracts.yml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def land(self, path: str, content: bytes) -> str:
        place = Path(self.settings.landing_url) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return path

    def land_orders(self, name: str, *rows: Mapping[str, Any] | str) -> str:
        return self.land(f"shop/orders/2025-03-01/{name}.jsonl", json_lines(*rows))

    def load(self, source: str = "shop") -> LoadResult:
        with closing(connect(self.settings)) as connection:
            return load_source(self.settings, connection, source)

    def lose_the_workshop(self) -> None:
        """All but landing and the log."""
        if self.settings.target == "duckdb":
            shutil.rmtree(self.settings.workshop_path.parent)
            return
        with closing(connect(self.settings)) as connection:
            schemas = connection.execute(
                r"""select nspname from pg_namespace
                    where nspname like 'raw\_%' or nspname = 'platform'"""
            ).fetchall()
            for (schema,) in schemas:
                connection.execute(f"drop schema {schema} cascade")

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with closing(looked_at(self.settings)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def execute(self, sql: str) -> None:
        with closing(looked_at(self.settings)) as connection:
            connection.execute(sql)

    def column(self, sql: str) -> list[Any]:
        return [row[0] for row in self.query(sql)]

    def quarantine(self) -> list[tuple[Any, ...]]:
        return self.query(
            """select file, row_number, column_name, reason, content from raw_ledger.quarantine
               where replayed_at is null order by batch_id, row_number"""
        )

    def log(self, outcome: str) -> list[dict[str, Any]]:
        events = read_newest_first(self.settings, "loads")
        return [event for event in events if event["outcome"] == outcome]
