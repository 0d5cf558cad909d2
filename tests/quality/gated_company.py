"""A small company of datasets: one source, one seed, one model per layer, in a real workshop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from catalog.catalog import Catalog, Column, Dataset
from quality.evaluate import evaluate
from quality.evaluation import Evaluation
from warehouse import workshop
from warehouse.connection import Connection
from warehouse.settings import Settings

PAYMENTS = "raw.billing.payments"
STAGED = "staging.stg_billing__payments"
FACTS = "curated.fct_payments"
REVENUE = "marts.finance_revenue"
LEADS = "raw.crm.leads"
FUNNEL = "marts.growth_funnel"

Check = Callable[..., Evaluation]


def dataset(
    key: str,
    columns: dict[str, str],
    parents: tuple[str, ...] = (),
    *,
    public: bool = False,
    meta: dict[str, Any] | None = None,
) -> Dataset:
    layer, *rest = key.split(".")
    return Dataset(
        key=key,
        unique_id=f"model.sluice.{key}",
        layer=layer,
        schema=f"raw_{rest[0]}" if layer == "raw" else layer,
        name=rest[-1],
        description=f"What {key} holds, in the company's own words.",
        owner="finance",
        tier=1,
        classification="internal",
        columns=tuple(
            Column(name, kind, f"The {name}.", "internal") for name, kind in columns.items()
        ),
        meta=meta or {},
        tags=(),
        is_public=public,
        materialized="table",
        path=f"models/{layer}/{rest[-1]}.sql",
        parents=parents,
        sources=frozenset({"billing"}),
    )


SCHEMAS = ("seeds", "raw_billing", "raw_crm", "raw_ledger", "staging", "curated", "marts")
MONEY = {"payment_id": "varchar", "amount": "decimal(18,2)", "currency": "varchar"}


@pytest.fixture
def catalog() -> Catalog:
    datasets = [
        dataset("seeds.currencies", {"currency": "varchar"}),
        dataset(PAYMENTS, MONEY, meta={"service_level": {"freshness_hours": 48}}),
        dataset(LEADS, {"lead_id": "varchar"}),
        dataset(STAGED, MONEY, (PAYMENTS,)),
        dataset(FACTS, MONEY, (STAGED, "seeds.currencies")),
        dataset(REVENUE, MONEY, (FACTS,), public=True),
        dataset(FUNNEL, {"lead_id": "varchar"}, (LEADS,), public=True),
    ]
    return Catalog({each.key: each for each in datasets}, {}, {})


# For modules whose tests run on either engine.
either_engine = pytest.mark.parametrize("settings_here", ["duckdb", "postgres"], indirect=True)


@pytest.fixture
def settings_here(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    here = Settings(data_dir=tmp_path / "data", as_of="2026-04-01T00:00:00+00:00")
    if getattr(request, "param", "duckdb") == "duckdb":
        return here
    url = request.getfixturevalue("postgres").url
    return here.model_copy(update={"target": "postgres", "postgres": SecretStr(url)})


@pytest.fixture
def company(settings_here: Settings) -> Iterator[Connection]:
    """100 payments of 1.00 to 100.00, half of them received on each of two days."""
    connection = workshop.connect(settings_here)
    for schema in SCHEMAS:
        connection.execute(f"drop schema if exists {schema} cascade")
    connection.execute(
        """
        create schema seeds; create schema raw_billing; create schema raw_crm;
        create schema raw_ledger; create schema staging; create schema curated;
        create schema marts;
        create table seeds.currencies as select 'USD' as currency union all select 'EUR';
        create table raw_ledger.batches (batch_id bigint, source varchar, entity varchar,
            file varchar, row_count bigint, quarantined_count bigint, loaded_at timestamptz,
            file_stamp varchar);
        create table raw_ledger.quarantine (batch_id bigint, replayed_at timestamptz);
        create table raw_crm.leads as select 'l1' as lead_id, 0::bigint as _batch_id;
        create table raw_billing.payments (payment_id varchar, amount decimal(18,2),
            currency varchar, _extra json, _batch_id bigint, _source_file varchar,
            _row_number bigint, _loaded_at timestamptz);
        """
    )
    deliver(
        connection, 1, "2026-03-30", "select 'p' || i, i, 'USD' from generate_series(1, 50) r(i)"
    )
    deliver(
        connection, 2, "2026-03-31", "select 'p' || i, i, 'EUR' from generate_series(51, 100) r(i)"
    )
    for table in ("staging.stg_billing__payments", "curated.fct_payments", "marts.finance_revenue"):
        connection.execute(
            f"create table {table} as select payment_id, amount, currency from raw_billing.payments"
        )
    connection.execute("create table marts.growth_funnel as select 'l1' as lead_id")
    yield connection
    connection.close()


def deliver(connection: Connection, batch: int, day: str, rows: str) -> None:
    file = f"billing/payments/{day}/{batch}.jsonl"
    connection.execute(
        "insert into raw_billing.payments"
        f" select *, null, {batch}, '{file}', 1, now() from ({rows}) as delivered"
    )
    connection.execute(
        "insert into raw_ledger.batches select ?, 'billing', 'payments', ?, count(*), 0, now(), ''"
        " from raw_billing.payments where _batch_id = ?",
        [batch, file, batch],
    )


@pytest.fixture
def checks_dir(tmp_path: Path) -> Path:
    """Check files as they should be: one per dataset that must have one."""
    folder = tmp_path / "checks"
    write(folder, PAYMENTS, "checks:\n  - row_count:\n")
    write(folder, LEADS, "checks:\n  - row_count:\n")
    write(folder, REVENUE, "checks:\n  - row_count:\n")
    write(folder, FUNNEL, "checks:\n  - row_count:\n")
    return folder


def write(folder: Path, key: str, text: str) -> Path:
    layer, _, rest = key.partition(".")
    path = folder / layer / f"{rest}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def check(
    settings_here: Settings,
    catalog: Catalog,
    company: Connection,
    checks_dir: Path,
) -> Check:
    """Evaluate one dataset, optionally with this check file."""

    def evaluated(key: str, text: str = "") -> Evaluation:
        if text:
            write(checks_dir, key, text)
        [found] = evaluate(settings_here, catalog, company, [key], folder=checks_dir)
        return found

    return evaluated
