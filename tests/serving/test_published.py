"""Reading the published snapshot, as `sluice query` and every consumer does."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from serving.published import QueryError, open_published, published_tables, run_sql
from warehouse.errors import SluiceError
from warehouse.settings import Settings


def publish(settings: Settings, number: int) -> Path:
    folder = settings.published_dir / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number}.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema published")
        connection.execute(
            f"create table published.finance_mrr_daily as select date '2026-03-31' as day_on, "
            f"{number} as mrr_usd_amount"
        )
        connection.execute("create table published.dim_accounts as select 1 as account_id")
    aside = settings.published_dir / "aside"
    aside.symlink_to(path)
    aside.replace(settings.published_path)
    return path


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    publish(settings, 1)
    return settings


def test_without_a_snapshot_the_remedy_is_to_run(tmp_path: Path) -> None:
    with pytest.raises(SluiceError, match="sluice run"):
        run_sql(Settings(data_dir=tmp_path), "select 1")


def test_tables_are_found_with_and_without_the_schema(here: Settings) -> None:
    answer = run_sql(here, "select day_on, mrr_usd_amount from finance_mrr_daily")
    assert answer.columns == ("day_on", "mrr_usd_amount")
    assert answer.records() == [{"day_on": date(2026, 3, 31), "mrr_usd_amount": 1}]
    assert run_sql(here, "from published.finance_mrr_daily").rows == answer.rows


def test_the_limit_cuts_and_says_so(here: Settings) -> None:
    cut = run_sql(here, "select * from range(10)", limit=3)
    assert (len(cut.rows), cut.is_cut) == (3, True)
    whole = run_sql(here, "select * from range(3)", limit=3)
    assert (len(whole.rows), whole.is_cut) == (3, False)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("create table t as select 1", "only read"),
        ("insert into dim_accounts values (2)", "only read"),
        ("drop table dim_accounts", "only read"),
        ("create table memory.main.t as select 1", "only read"),
        ("set enable_external_access = true", "only read"),
        ("attach '/tmp/other.duckdb'", "only read"),
        ("copy dim_accounts to '/tmp/out.csv'", "only read"),
        ("install httpfs", "only read"),
        ("select 1; select 2", "one is answered at a time"),
        ("  -- nothing", "empty"),
        ("select * from read_csv('/etc/passwd')", "out of reach"),
        ("select * from glob('/*')", "out of reach"),
        ("select * from read_text('/etc/passwd')", "out of reach"),
        ("selct 1", 'syntax error at or near "selct"'),
        ("select * from finance_mrr_dayly", "Did you mean finance_mrr_daily"),
        ("select * from published.accounts", "Did you mean dim_accounts"),
        ("select mrr_usd from finance_mrr_daily", "Did you mean mrr_usd_amount"),
        ("select * from '/etc/passwd'", "no published table"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_plain_words(
    here: Settings, sql: str, says: str
) -> None:
    with pytest.raises(QueryError, match=says) as refused:
        run_sql(here, sql)
    assert refused.value.remedy


def test_a_reader_keeps_its_snapshot_while_the_pointer_moves(here: Settings) -> None:
    reader = open_published(here)
    publish(here, 2)
    assert reader.execute("select mrr_usd_amount from finance_mrr_daily").fetchall() == [(1,)]
    assert run_sql(here, "select mrr_usd_amount from finance_mrr_daily").rows == ((2,),)
    reader.close()


def test_a_reader_does_not_lock_out_others_of_its_process(here: Settings, tmp_path: Path) -> None:
    reader = open_published(here)
    other = duckdb.connect(str(here.published_path.resolve()), read_only=True)
    assert other.execute("select count(*) from published.dim_accounts").fetchall() == [(1,)]
    other.execute(f"copy (select 1) to '{tmp_path / 'out.csv'}'")
    assert published_tables(reader) == ("dim_accounts", "finance_mrr_daily")
    other.close()
    reader.close()


def test_a_broken_snapshot_is_named(here: Settings) -> None:
    here.published_path.resolve().write_bytes(b"not a database" * 1000)
    with pytest.raises(SluiceError, match=r"Snapshot 1 cannot be opened"):
        run_sql(here, "select 1")
