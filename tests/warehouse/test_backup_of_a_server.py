"""Backup and restore of PostgreSQL: whatever is in the platform's schemas, in one transaction."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from crash.matrix import Visit, chains
from postgres_fixtures import new_database
from postgres_server import PostgresServer
from pydantic import SecretStr

from warehouse import postgres as server
from warehouse.backups import inventory, server_catalogs, structure
from warehouse.backups.place import Place
from warehouse.backups.restoring import restore
from warehouse.backups.structure import Structure
from warehouse.backups.taking import take
from warehouse.crash_points import CRASH_AT, DISK_FULL_AT
from warehouse.errors import SluiceError
from warehouse.settings import PROJECT_ROOT, Settings

ROLE = "sluice_reader_of_backups"
# Of everything that PostgreSQL has, what a warehouse may have, with names and values that hurt.
EVERYTHING = f'''
create schema raw_app;
create schema "Odd ""schema""";
create schema published;
comment on schema raw_app is 'what the app''s people sent, 100 %';
create function raw_app.doubled(n bigint) returns bigint language sql immutable
    as $$ select n * 2 $$;
comment on function raw_app.doubled is 'twice';
create sequence raw_app.batches increment by 5 start with 10;
select nextval('raw_app.batches'), nextval('raw_app.batches');
create table raw_app.accounts (
    id bigint generated always as identity primary key,
    "Na me" text collate "C" not null default 'it''s %', paid numeric(38, 12), at timestamptz,
    on_day date, whole double precision, extra jsonb, tags text[], bits bytea,
    owner_id bigint references raw_app.accounts (id), twice bigint
        generated always as (id * 2) stored,
    number bigint default nextval('raw_app.batches'),
    constraint is_positive check (paid > 0)
) with (fillfactor = 90);
alter sequence raw_app.batches owned by raw_app.accounts.number;
insert into raw_app.accounts ("Na me", paid, at, on_day, whole, extra, tags, bits, owner_id)
select E'tab\\t line\\n \\\\ \\\\. ü €' || n, n + 0.000000000001, timestamptz '2026-03-29 01:30+00',
    date '0044-03-15 BC', 0.1 + 0.2, '{{"a": [1, null]}}', array['x,y', null, '"'], '\\x00ff',
    case when n > 1 then 1 end
from generate_series(1, 500) as n;
insert into raw_app.accounts ("Na me", at, whole) values ('\\N', '-infinity', 'NaN');
create unique index by_name on raw_app.accounts (lower("Na me"), id) where paid is not null;
alter table raw_app.accounts alter column paid set statistics 500;
create statistics raw_app.together (dependencies) on on_day, whole from raw_app.accounts;
comment on column raw_app.accounts."Na me" is 'as they spell it';
create table raw_app.days (on_day date not null, rows bigint) partition by range (on_day);
create table raw_app.days_2025 partition of raw_app.days
    for values from ('2025-01-01') to ('2026-01-01');
create table raw_app.days_rest partition of raw_app.days default;
alter table raw_app.days add primary key (on_day);
create index on raw_app.days (rows);
insert into raw_app.days values ('2025-05-05', 1), ('2026-05-05', 2);
create table "Odd ""schema"""."select" ("from" text);
create unlogged table raw_app.empty ();
create view published."Accounts" with (security_barrier = true) as
    select id, "Na me", raw_app.doubled(id) as twice from raw_app.accounts where paid > 3;
create materialized view raw_app.counted as select count(*) as n from published."Accounts";
create view published.on_top as select n from raw_app.counted;
create view published.is_replaced as select 1 as one;
create table raw_app.later (two bigint);
insert into raw_app.later values (2);
create or replace view published.is_replaced as
    select 1 as one, two from raw_app.later;
create function raw_app.noted() returns trigger language plpgsql
    as $$ begin return new; end $$;
create trigger noted before insert on raw_app.later for each row execute function raw_app.noted();
revoke execute on function raw_app.doubled from public;
grant usage on schema published to {ROLE};
grant select on published."Accounts" to {ROLE} with grant option;
grant select (id) on raw_app.accounts to {ROLE};
grant execute on function raw_app.doubled to {ROLE};
alter default privileges in schema published grant select on tables to {ROLE};
alter table raw_app.later enable row level security;
create policy mine on raw_app.later for select to {ROLE} using (two > 1);
'''


@pytest.fixture
def here(postgres: PostgresServer, tmp_path: Path) -> Iterator[Settings]:
    yield settings_of(postgres, tmp_path)


def settings_of(of_server: PostgresServer, folder: Path) -> Settings:
    return Settings(
        target="postgres",
        postgres=SecretStr(new_database(of_server).url),
        data_dir=folder / "data",
        backups=str(folder / "place"),
    )


def run(here: Settings, sql: str) -> None:
    with psycopg.connect(here.postgres.get_secret_value(), autocommit=True) as session:
        session.execute(f"do $$ begin create role {ROLE}; exception when duplicate_object"
                        " then null; end $$")  # fmt: skip
        session.execute(sql.encode())


def described(here: Settings) -> Structure:
    with closing(server.connect(here)) as session:
        session.execute("begin")
        for statement in server_catalogs.PLAIN:
            session.execute(statement)
        return structure.read(session)


def held(here: Settings) -> dict[str, list[str]]:
    """Every table's and view's rows as PostgreSQL writes them."""
    with closing(server.connect(here)) as session:
        names = session.execute(
            "select format('%I.%I', schemaname, name) from (select schemaname, tablename as name"
            " from pg_tables union all select schemaname, viewname from pg_views union all"
            " select schemaname, matviewname from pg_matviews) as every"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        return {
            name: sorted(
                text for (text,) in session.execute(f"select t::text from {name} as t").fetchall()
            )
            for (name,) in names
        }


def test_whatever_a_warehouse_may_hold_comes_back_as_it_was(here: Settings) -> None:
    run(here, EVERYTHING)
    rows, made = held(here), described(here)
    take(here, here.backups)
    run(here, 'drop schema raw_app, published, "Odd ""schema""" cascade; create schema raw_crm')

    found = restore(here, here.backups, replace=True)

    assert (held(here), found.notes) == (rows, ())
    assert described(here) == made
    assert len(rows["raw_app.accounts"]) == 501 and rows["published.is_replaced"] == ["(1,2)"]
    assert len(made.rights) == 7 and len(made.finished) > 15
    # A sequence goes on where it was, and a generated key as well.
    run(here, "insert into raw_app.accounts (\"Na me\", number) values ('next', default)")
    [new] = set(held(here)["raw_app.accounts"]) - set(rows["raw_app.accounts"])
    assert new.startswith("(502,next") and new.endswith(",2525)")


def test_a_role_that_a_server_does_not_have_is_told(here: Settings) -> None:
    run(here, f"create schema a; create table a.t (n int); create role {ROLE}_2;"
              f"grant select on a.t to {ROLE}_2")  # fmt: skip
    take(here, here.backups)
    run(here, f"drop schema a cascade; drop role {ROLE}_2")
    [note] = restore(here, here.backups).notes
    assert f"grant SELECT on a.t to {ROLE}_2" in note and "does not exist" in note


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("create type a.colour as enum ('red')", "the type colour"),
        ("create table a.t (n int); create table a.u () inherits (a.t)", "inherits a.u"),
        ("create aggregate a.total (int) (sfunc = int4pl, stype = int)", "aggregate total"),
    ],
)
def test_what_a_backup_would_leave_out_is_refused_by_name(
    here: Settings, sql: str, named: str
) -> None:
    run(here, f"create schema a; {sql}")
    with pytest.raises(SluiceError, match=f"cannot be backed up whole.*{named}"):
        take(here, here.backups)
    assert Place(here.backups).inventories() == []


def test_views_of_others_are_not_lost_with_what_they_read(here: Settings) -> None:
    run(here, "create schema a; create table a.t (n int); create view public.theirs as table a.t")
    take(here, here.backups)
    with pytest.raises(SluiceError, match=r"public\.theirs would be lost"):
        restore(here, here.backups, replace=True)
    assert "a.t" in held(here)


@pytest.mark.parametrize(
    "chain", [each for each in chains() if each[0].command == "restore of a server"]
)
def test_a_restore_that_is_ended_leaves_the_old_state_or_the_new(
    here: Settings, chain: tuple[Visit, ...]
) -> None:
    run(here, "create schema a; create table a.t as select 1 as n; create table a.u as select 1")
    take(here, here.backups)
    then = held(here)
    run(here, "update a.t set n = 2; drop table a.u; create table a.v ()")
    now = held(here)
    for visit in chain:
        how = CRASH_AT if visit.kind == "kill" else DISK_FULL_AT
        done = sluice(here, "restore", "--replace", **{how: visit.point})
        assert done.returncode == (-9 if visit.kind == "kill" else 1), done.stderr
        assert visit.kind == "kill" or "the disk is full" in done.stderr
        assert held(here) == (then if visit.point == "server.committed" else now), visit
    restore(here, here.backups, replace=True)
    assert held(here) == then


def sluice(here: Settings, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "SLUICE_TARGET": "postgres",
        "SLUICE_POSTGRES": here.postgres.get_secret_value(),
        "SLUICE_DATA_DIR": str(here.data_dir),
        "SLUICE_BACKUPS": here.backups,
        **more,
    }
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_a_flipped_byte_is_found_before_anything_is_dropped(here: Settings) -> None:
    run(here, "create schema a; create table a.t as select 'a row of some length' as t")
    take(here, here.backups)
    [part] = inventory.find(Place(here.backups), None).parts
    file = Path(here.backups) / "parts" / part[:2] / part
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    run(here, "insert into a.t values ('newer')")
    now = held(here)
    with pytest.raises(SluiceError, match=f"{part} holds other bytes"):
        restore(here, here.backups, replace=True)
    assert held(here) == now


def test_a_backup_shows_one_moment_although_somebody_writes(here: Settings) -> None:
    """Somebody who knows nothing of the writer's lock commits between the reading of two tables."""
    run(here, "create schema a; create table a.t as select 1 as n; create table a.u as select 1")
    then = held(here)
    with (
        psycopg.connect(here.postgres.get_secret_value()) as other,
        ThreadPoolExecutor() as backing_up,
    ):
        other.execute("lock table a.u in access exclusive mode")
        other.execute("insert into a.t values (2)")
        other.execute("insert into a.u values (2)")
        taken = backing_up.submit(take, here, here.backups)
        with psycopg.connect(here.postgres.get_secret_value(), autocommit=True) as watching:
            while not watching.execute(
                "select 1 from pg_locks where not granted and relation = 'a.u'::regclass"
            ).fetchone():
                assert not taken.done()
        other.commit()
        taken.result()
    assert held(here) != then
    restore(here, here.backups, replace=True)
    assert held(here) == then
