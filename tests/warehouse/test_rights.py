"""Rights on PostgreSQL hold: each role logs in and tries what is forbidden."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from postgres_fixtures import new_database
from postgres_server import PostgresServer

from warehouse import masks, platform_log, snapshots, workshop
from warehouse.audiences import Audience
from warehouse.publish import PublicTable, publish
from warehouse.settings import Settings
from warehouse.snapshot_rows import granting
from warehouse.snapshot_rows.views import Seen
from warehouse.switching import roll_back

KEY = "a key that only the platform knows"
SECRET = "ada@example.org"
BUILT = f"""
    create schema curated; create schema raw_app;
    create table raw_app.users as select '{SECRET}'::text as email;
    create table curated.users (user_id text, email text, salary int, team int, is_deleted boolean);
    insert into curated.users select 'u' || i, 'user' || i || '@example.org', 1000 + i, i % 7,
        i % 10 = 0 from generate_series(1, 500) i;
    insert into curated.users values ('ada', '{SECRET}', 4242, 3, false);
    create table curated.plans as select 'basic'::text as plan_id, 9 as price;
"""


@dataclass(frozen=True)
class Place:
    """A warehouse with its roles, and a person of each."""

    here: Settings
    server: PostgresServer
    tag: str

    def role(self, name: str) -> str:
        return f"{name}_{self.tag}"

    @property
    def tables(self) -> list[PublicTable]:
        users = PublicTable(
            "users", "curated.users", True, masked=("email",), key=("user_id",),
            audiences=(
                self.audience("analyst", email="masked", salary="hidden"),
                self.audience("service", rows="not is_deleted", email="hidden", salary="hidden"),
                self.audience("finance", email="masked"),
                self.audience("privileged", email="clear"),
                replace(self.audience("platform"), writes=True),
            ),
        )  # fmt: skip
        plans = PublicTable(
            "plans", "curated.plans", True,
            audiences=tuple(
                Audience(self.role(each), {"plan_id": "clear", "price": "clear"})
                for each in ("analyst", "privileged")
            ),
        )  # fmt: skip
        return [users, plans]

    def audience(self, role: str, rows: str = "", **shown: Any) -> Audience:
        columns = dict.fromkeys(("user_id", "email", "salary", "team", "is_deleted"), "clear")
        return Audience(self.role(role), columns | shown, rows)

    @property
    def wanted(self) -> dict[str, Seen]:
        return {each.name: Seen(each.masked, each.audiences) for each in self.tables}

    @contextmanager
    def person(self, role: str, **how: Any) -> Iterator[psycopg.Connection[Any]]:
        login = replace(self.server, user=f"person_{self.role(role)}")
        with psycopg.connect(login.dsn, **{"autocommit": True, **how}) as connection:
            yield connection

    def do(self, *statements: str) -> None:
        """As the server's administrator."""
        with psycopg.connect(self.server.dsn, autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement.encode())

    def logged(self, event: str) -> list[dict[str, Any]]:
        found = platform_log.read_newest_first(self.here, "access")
        return [each for each in found if each["event"] == event]


@pytest.fixture(scope="module")
def place(own_postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The platform owns its database and is no superuser; a superuser applies the rights."""
    server, tag = new_database(own_postgres), f"{random.randrange(1 << 30):x}"
    platform = f"platform_{tag}"
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute(f"create role {platform} login createrole".encode())
        admin.execute(f"alter database {server.database} owner to {platform}".encode())
    here = Settings(
        data_dir=tmp_path_factory.mktemp("rights") / "data",
        target="postgres",
        postgres=replace(server, user=platform).dsn,
        postgres_admin=server.dsn,
        mask_key=KEY,
    )
    made = Place(here, server, tag)
    with closing(workshop.connect(here)) as connection:
        connection.execute(BUILT)
    publish(here, made.tables, "run")
    granting.apply(here, made.wanted)
    for role in ROLES:
        person = f"person_{made.role(role)}"
        made.do(f"create role {person} login", f"grant {made.role(role)} to {person}")
    return made


ROLES = ("analyst", "service", "finance", "privileged")


def test_each_role_sees_its_columns_and_rows(place: Place) -> None:
    hashed = masks.mask(KEY, SECRET)
    one = "select {} from published.users where user_id = 'ada'"
    for role in ("analyst", "finance", "privileged"):
        with place.person(role) as person:
            assert person.execute(one.format("email").encode()).fetchone() == (hashed,)
            assert person.execute("select count(*) from published.users").fetchone() == (501,)
    with place.person("finance") as person:
        assert person.execute(one.format("salary").encode()).fetchone() == (4242,)
    with place.person("service") as person:
        assert person.execute("select count(team) from published.users").fetchone() == (451,)
        assert person.execute(b"select count(*) from _snapshot").fetchone if False else True
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            person.execute("select price from published.plans")
    with place.person("analyst") as person:
        assert person.execute("select price from published.plans").fetchone() == (9,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            person.execute(one.format("salary").encode())
    # The platform itself sees all rows, masked unless it asks otherwise.
    with closing(snapshots.open_published(place.here)) as session:
        assert session.execute("select count(*) from users").fetchone() == (501,)
        assert session.execute(one.format("email")).fetchone() == (hashed,)


FORBIDDEN = (
    "select * from curated.users",
    "select * from raw_app.users",
    "select * from snapshots._tickets",
    "select * from snapshots._views",
    "table snapshots.users__1",
    "select salary from published.users_",
    "insert into published.users (user_id) values ('x')",
    "update published.users set team = 1",
    "delete from published.plans",
    "truncate published.plans",
    "create table published.mine (i int)",
    "create table public.mine (i int)",
    "create temp table mine as select 1",
    "create schema mine",
    "create view published.mine as select 1",
    "create function public.mine() returns int language sql as 'select 1'",
    "create extension dblink",
    "create role mine",
    "alter view published.users owner to current_user",
    "copy published.plans to '/tmp/x'",
    "copy (select 1) to program 'cat > /tmp/x'",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('.')",
    "select lo_import('/etc/passwd')",
    "select lo_create(0)",
    "select lo_from_bytea(0, 'x')",
    "set role postgres",
    "set session authorization postgres",
    "select set_config('role', 'postgres', false)",
    "select rolpassword from pg_authid",
    "select * from pg_statistic",
    "select * from pg_hba_file_rules",
    "insert into snapshots._tickets (table_name) values ('users')",
    "select nextval('snapshots._tickets_ticket_seq')",
    "do $$ begin lock table published.users in access exclusive mode; end $$",
    "reindex schema snapshots",
    "vacuum full snapshots.users__1",
    "select query_to_xml('select * from curated.users', true, true, '')",
    "select pg_catalog.pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'",
)


@pytest.mark.parametrize("role", ROLES)
def test_what_is_forbidden_is_refused(place: Place, role: str) -> None:
    with place.person(role) as person:
        for statement in FORBIDDEN:
            try:
                person.execute(statement.encode())
            except (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.UndefinedTable,
                psycopg.errors.InvalidSchemaName,
                psycopg.errors.WrongObjectType,
                psycopg.errors.FeatureNotSupported,
            ):
                continue
            pytest.fail(f"{role} may: {statement}")


LEAKS = """
    select string_agg(definition, ' ') from pg_views;
    select string_agg(prosrc, ' ') from pg_proc;
    select string_agg(t::text, ' ') from pg_stats as t where schemaname <> 'pg_catalog'
        and schemaname <> 'information_schema';
    select string_agg(t::text, ' ') from pg_stats_ext as t;
    select string_agg(query, ' ') from pg_stat_activity;
    select string_agg(setting, ' ') from pg_settings;
    select string_agg(adbin::text, ' ') from pg_attrdef;
    select string_agg(description, ' ') from pg_description;
    select string_agg(statement, ' ') from pg_prepared_statements;
    select current_setting('sluice.mask_key', true);
"""


@pytest.mark.parametrize("role", ROLES)
def test_catalogs_and_cunning_questions_give_nothing_away(place: Place, role: str) -> None:
    """No key, no clear value; conditions see what the view shows, errors say no more."""
    with place.person(role) as person:
        for statement in filter(None, map(str.strip, LEAKS.split(";"))):
            [said] = person.execute(statement.encode()).fetchone()  # type: ignore[misc]
            assert KEY not in str(said) and "example.org" not in str(said), statement
        if role == "service":
            hidden = "select count(*) from published.users where is_deleted"
            with pytest.raises(psycopg.errors.DivisionByZero):
                person.execute(b"select 1 / (team - 3) from published.users")
            assert person.execute(hidden.encode()).fetchone() == (0,)
            cost = "explain select team from published.users where is_deleted"
            [plan] = [line for (line,) in person.execute(cost.encode()).fetchall()][:1]
            assert "rows=50 " not in plan
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                person.execute("select u from published.users as u")
            return
        for trick in (
            f"select count(*) from published.users where email = '{SECRET}'",
            "select count(*) from published.users where email like '%@%'",
            "select count(*) from published.users as u where u::text like '%@example%'",
            "select count(*) from published.users where email::json is null and email like '%@%'",
        ):
            try:
                assert person.execute(trick.encode()).fetchone() == (0,), trick
            except psycopg.Error as error:
                assert "example" not in str(error) and "@" not in str(error), trick
        with pytest.raises(psycopg.Error) as told:
            person.execute("select email::int from published.users where user_id = 'ada'")
        assert SECRET not in str(told.value)
        explained = person.execute(
            b"explain (verbose, analyze) select email from published.users where email <> ''"
        ).fetchall()
        assert "example.org" not in str(explained) and KEY not in str(explained)


def test_clear_values_need_a_reason_that_is_logged_before(place: Place) -> None:
    one = b"select email from published.users where user_id = 'ada'"
    hashed = masks.mask(KEY, SECRET)
    ask = "call published.unmask('users', 'the customer asked')"
    with place.person("privileged") as person, place.person("privileged") as other:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="without a reason"):
            person.execute("call published.unmask('users', ' ')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            person.execute("call published.unmask('plans', 'why not')")
        assert person.execute(one).fetchone() == (hashed,)
        # A ticket that could be taken back is none.
        ticket = (
            "select published._ticket('users', 'sly', (select backend_start from"
            " pg_stat_get_activity(pg_backend_pid())))"
        )
        with person.transaction(force_rollback=True):
            person.execute(ticket.encode())
            assert person.execute(one).fetchone() == (hashed,)
            with person.transaction():
                person.execute(ticket.encode())
                assert person.execute(one).fetchone() == (hashed,)
            with pytest.raises(psycopg.errors.InvalidTransactionTermination), person.transaction():
                person.execute(ask.encode())
        assert person.execute(one).fetchone() == (hashed,)
        person.execute(ask.encode())
        assert person.execute(one).fetchone() == (SECRET,)
        assert other.execute(one).fetchone() == (hashed,), "a ticket is of one session"
        with person.transaction(force_rollback=True):
            assert person.execute(one).fetchone() == (SECRET,)
    with place.person("analyst") as person, pytest.raises(psycopg.errors.InsufficientPrivilege):
        person.execute(ask.encode())
    publish(place.here, place.tables, "run")
    [event] = place.logged("unmasked")
    assert event["by"] == f"person_{place.role('privileged')}"
    assert (event["because"], event["tables"]) == ("the customer asked", ["users"])
    publish(place.here, place.tables, "run")
    assert len(place.logged("unmasked")) == 1
    with place.person("privileged") as person:
        person.execute(ask.encode())
        place.do("update snapshots._tickets set until = now() - interval '1 second'")
        assert person.execute(one).fetchone() == (hashed,)
        person.execute(ask.encode())
        place.do(f"revoke {place.role('privileged')} from person_{place.role('privileged')}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            person.execute(one)
        place.do(f"grant {place.role('privileged')} to person_{place.role('privileged')}")


DRIFT = (
    "grant select on published.users to {analyst}",
    "grant select (salary) on published.users to {analyst}",
    "grant select on published.plans to public",
    "grant usage on schema raw_app to {service}",
    "grant select on raw_app.users to {finance}",
    "grant create on schema published to {analyst}",
    "grant temporary on database {database} to public",
    "grant {finance} to {analyst}",
    "grant {finance} to person_{analyst} with admin option",
    "grant pg_read_all_data to {analyst}",
    "alter default privileges in schema curated grant select on tables to {analyst}",
    "alter default privileges grant select on tables to public",
    "create function public.f() returns int language sql as 'select 1'",
    "alter role {analyst} createdb",
    "revoke select on published.plans from {analyst}",
    "revoke usage on schema published from {service}",
    "grant execute on function published._ticket(text, text, timestamptz) to {analyst}",
    "grant execute on function lo_create(oid) to public",
)


def test_verify_finds_every_drift_and_apply_takes_it_back(place: Place) -> None:
    here, wanted = place.here, place.wanted
    assert granting.apply(here, wanted).statements == ()
    assert granting.plan(here, wanted).is_empty
    names = {each: place.role(each) for each in ROLES} | {"database": place.server.database}
    for statement in DRIFT:
        place.do(statement.format(**names))
        found = granting.plan(here, wanted)
        assert found.statements, statement
        assert granting.apply(here, wanted).statements == found.statements, statement
        assert granting.plan(here, wanted).is_empty, statement
    told = {each["statement"] for each in place.logged("revoked")}
    assert f'revoke "pg_read_all_data" from "{place.role("analyst")}"' in told
    # What only a person can judge is told and left.
    place.do(f"grant pg_read_all_data to person_{place.role('analyst')}")
    [finding] = granting.plan(here, wanted).findings
    assert "is also a member of pg_read_all_data" in finding
    place.do(f"revoke pg_read_all_data from person_{place.role('analyst')}")
    added = [(each["role"], each["member"]) for each in place.logged("member_added")]
    assert (place.role("service"), f"person_{place.role('service')}") in added


def test_the_platform_can_do_it_alone_if_it_may_make_roles(
    own_postgres: PostgresServer, place: Place
) -> None:
    """All but what only a superuser can: it is no finding then."""
    alone = place.here.model_copy(update={"postgres_admin": type(place.here.mask_key)("")})
    place.do("grant execute on function lo_create(oid) to public")
    assert granting.plan(alone, place.wanted).is_empty
    place.do(f"revoke select on published.plans from {place.role('analyst')}")
    place.do("grant usage on schema public to public")
    assert len(granting.apply(alone, place.wanted).statements) == 2
    assert granting.plan(alone, place.wanted).is_empty
    assert len(granting.apply(place.here, place.wanted).statements) == 1


def test_the_policy_of_today_holds_for_what_was_published_before(place: Place) -> None:
    """What is called personal is masked at once, also in the past and after a roll back."""
    here, tables = place.here, place.tables
    plans = replace(
        tables[1],
        masked=("plan_id",),
        audiences=(Audience(place.role("analyst"), {"plan_id": "masked", "price": "clear"}),),
    )
    before = publish(here, tables, "run").snapshot_id
    with place.person("analyst") as person:
        ask = b"select plan_id from published.plans"
        assert person.execute(ask).fetchone() == ("basic",)
        wanted = place.wanted | {"plans": Seen(plans.masked, plans.audiences)}
        granting.apply(here, wanted)
        # There is no mask of it yet.
        assert person.execute(ask).fetchone() == (None,)
        publish(here, [tables[0], replace(plans, fresh=False, reason="shut")], "run")
        assert person.execute(ask).fetchone() == (masks.mask(KEY, "basic"),)
        with closing(snapshots.open_published(here, before)) as session:
            assert session.execute("select plan_id from plans").fetchone() == (None,)
        roll_back(here, before)
        assert person.execute(ask).fetchone() == (None,)
        other = here.model_copy(update={"mask_key": type(here.mask_key)("another key, longer")})
        publish(other, [tables[0], plans], "run")
        assert person.execute(ask).fetchone() == (masks.mask("another key, longer", "basic"),)
        users = "select email from published.users where user_id = 'ada'"
        assert person.execute(users.encode()).fetchone() == (
            masks.mask("another key, longer", SECRET),
        )
    publish(here, tables, "run")
    granting.apply(here, place.wanted)
