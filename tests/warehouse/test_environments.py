"""Several environments in one database: neither sees, changes, waits for or reads the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from postgres_fixtures import new_database
from postgres_server import PostgresServer
from pydantic import SecretStr

from ingestion.contracts import contract_of
from serving.published import run_sql
from warehouse import environments, production, snapshots, workshop
from warehouse.audiences import Audience
from warehouse.backups.restoring import restore
from warehouse.backups.taking import take
from warehouse.dropping import drop
from warehouse.errors import LockedError, SettingsError, SluiceError
from warehouse.publish import PublicTable, publish
from warehouse.schemas import IN_YAML, called
from warehouse.settings import Settings, settings
from warehouse.snapshot_rows import granting
from warehouse.snapshot_rows.views import Seen

PREFIXES = ("", "ci_", "ci_4_")


@dataclass(frozen=True)
class Shared:
    """One database, in which each environment has a table of its own rows, and a reader."""

    server: PostgresServer
    folder: Path
    analyst: str

    @contextmanager
    def environment(self, prefix: str) -> Iterator[Settings]:
        """As a process that was started with this prefix."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLUICE_SCHEMA_PREFIX", prefix)
            settings.cache_clear()
            yield Settings(
                data_dir=self.folder / "data",
                target="postgres",
                postgres=SecretStr(self.server.dsn),
                mask_key=SecretStr("a key that only tests use"),
                lock_wait_seconds=0,
            )
        settings.cache_clear()

    def table(self) -> PublicTable:
        role = Audience(called(self.analyst), {"said_by": "clear"})
        return PublicTable("words", f"{called('marts')}.words", True, audiences=(role,))

    @property
    def wanted(self) -> dict[str, Seen]:
        return {"words": Seen((), self.table().audiences)}

    def made(self, prefix: str) -> None:
        with self.environment(prefix) as here:
            with closing(workshop.connect(here)) as connection:
                marts = called("marts")
                connection.execute(f"create schema {marts}")
                connection.execute(
                    f"create table {marts}.words as select '{prefix or 'prod'}'::text as said_by"
                )
            publish(here, [self.table()], "run")
            granting.apply(here, self.wanted)

    def person(self, prefix: str) -> psycopg.Connection[tuple[str]]:
        login = replace(self.server, user=f"person_of_{prefix}{self.analyst}")
        return psycopg.connect(login.dsn, autocommit=True)


@pytest.fixture(scope="module")
def shared(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    server = new_database(postgres)
    found = Shared(server, tmp_path_factory.mktemp("shared"), f"analyst_{server.database[-6:]}")
    for prefix in PREFIXES:
        found.made(prefix)
    people = [f"{prefix}{found.analyst}" for prefix in PREFIXES]
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        for role in people:
            admin.execute(f"create role person_of_{role} {server.login} in role {role}".encode())
    yield found


@pytest.mark.parametrize("prefix", PREFIXES)
def test_each_reads_what_it_published_itself(shared: Shared, prefix: str) -> None:
    with shared.environment(prefix) as here:
        assert len(snapshots.kept(here)) == 1
        for question in ("words", "published.words", "Published.words"):
            answer = run_sql(here, f"select said_by from {question}")
            assert answer.rows == ((prefix or "prod",),)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_rights_in_one_are_no_rights_in_another(shared: Shared, prefix: str) -> None:
    with shared.person(prefix) as person:
        for other in PREFIXES:
            words = f"select said_by from {other}published.words".encode()
            if other == prefix:
                assert person.execute(words).fetchall() == [(prefix or "prod",)]
                continue
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                person.execute(words)


def test_rights_of_one_are_no_drift_to_another_and_a_leak_is(shared: Shared) -> None:
    plans = {}
    with psycopg.connect(shared.server.dsn, autocommit=True) as admin:
        for leak in ("", "grant", "revoke"):
            if leak:
                towards = {"grant": "to", "revoke": "from"}[leak]
                admin.execute(
                    f"{leak} usage on schema ci_published {towards} ci_4_{shared.analyst}".encode()
                )
            for prefix in PREFIXES:
                with shared.environment(prefix) as here:
                    plans[leak, prefix] = granting.plan(here, shared.wanted).statements
    leaks = {where: found for where, found in plans.items() if found}
    assert leaks == {
        ("grant", "ci_"): (f'revoke usage on schema "ci_published" from "ci_4_{shared.analyst}"',)
    }


def test_one_writes_while_another_does(shared: Shared) -> None:
    with ExitStack() as writing:
        for prefix in PREFIXES:
            with shared.environment(prefix) as here:
                assert workshop.is_writing(here) is None
                writing.enter_context(workshop.writing(here, f"run of {prefix}"))
                with pytest.raises(LockedError, match=f"by run of {prefix}"):
                    writing.enter_context(workshop.writing(here, "another run"))


def test_a_developer_reads_the_production_that_they_name(shared: Shared) -> None:
    with shared.environment("dev_ann_") as given:
        here = given.model_copy(
            update={"production": given.postgres, "production_schema": "ci_published"}
        )
        with closing(workshop.connect(here)) as connection:
            production.fetch(here, connection, ["words"])
            fetched = connection.execute("select said_by from dev_ann_production.words").fetchall()
            assert fetched == [("ci_",)]
            assert environments.schemas(connection) == ["dev_ann_production"]


def test_a_backup_holds_and_puts_back_its_own_only(shared: Shared) -> None:
    with shared.environment("ci_") as here:
        made = take(here, here.backups_url)
        assert made.backup.structure is not None
        assert set(made.backup.structure.schemas) == {
            *("ci_marts", "ci_platform", "ci_published", "ci_snapshots")
        }
        with closing(workshop.connect(here)) as connection:
            connection.execute("update ci_marts.words set said_by = 'lost'")
            connection.execute("update marts.words set said_by = 'later'")
        restore(here, here.backups_url, replace=True)
        with closing(workshop.connect(here)) as connection:
            words = [
                connection.execute(f"select said_by from {each}marts.words").fetchone()[0]
                for each in PREFIXES
            ]
            connection.execute("update marts.words set said_by = 'prod'")
        assert words == ["later", "ci_", "ci_4_"]
    with (
        shared.environment("ci_4_") as other,
        pytest.raises(SettingsError, match="of another environment"),
    ):
        restore(other, here.backups_url, replace=True)


def test_one_is_dropped_and_the_others_stay(shared: Shared) -> None:
    """The last test here: it takes away what the others use."""

    def gone(prefix: str, **more: str) -> list[str]:
        with shared.environment(prefix) as here:
            return drop(here.model_copy(update=more), [called(shared.analyst)])

    for refused in ({"prefix": ""}, {"prefix": "ci_", "environment": "prod"}):
        with pytest.raises(SettingsError, match="Nothing was dropped"):
            gone(**refused)
    folder, role = shared.folder / "data" / "environments", f"ci_{shared.analyst}"
    assert {each.name for each in folder.iterdir()} == {"ci", "ci_4"}
    with psycopg.connect(shared.server.dsn, autocommit=True) as admin:
        admin.execute(f"grant create on schema public to {role}".encode())
        with pytest.raises(SluiceError, match="the roles and files are not"):
            gone("ci_")
        admin.execute(f"revoke create on schema public from {role}".encode())
        assert gone("ci_")[-1] == role
        left = admin.execute(
            "select nspname from pg_namespace where nspname like 'ci%' union all"
            f" select rolname from pg_roles where rolname = '{role}' order by 1"
        ).fetchall()
    assert {name[:5] for (name,) in left} == {"ci_4_"}
    assert {each.name for each in folder.iterdir()} == {"ci_4"}
    for prefix in ("", "ci_4_"):
        test_each_reads_what_it_published_itself(shared, prefix)


@pytest.mark.parametrize("prefix", ["ci", "Ci_", "4_", "pg_ci_", "raw_", "a" * 30 + "_", "c;_"])
def test_a_prefix_that_no_schema_can_bear_is_refused(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_SCHEMA_PREFIX", prefix)
    with pytest.raises(SettingsError, match="SLUICE_SCHEMA_PREFIX cannot be used"):
        settings()


def test_a_name_that_postgresql_would_cut_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_SCHEMA_PREFIX", "ci_42_")
    with pytest.raises(SettingsError, match="too long"):
        called("raw_" + "s" * 60)


def test_a_source_whose_raw_tables_all_environments_would_share_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = {"name": "orders", "columns": [{"name": "order_id", "data_type": "varchar"}]}
    shared = {"name": "shop", "schema": "raw_shop"}
    assert contract_of("shop.yml", shared, table).relation == '"raw_shop"."orders"'
    monkeypatch.setenv("SLUICE_SCHEMA_PREFIX", "ci_42_")
    settings.cache_clear()
    own = {**shared, "schema": f"{IN_YAML}raw_shop"}
    assert contract_of("shop.yml", own, table).relation == '"ci_42_raw_shop"."orders"'
    with pytest.raises(SluiceError, match="must begin with"):
        contract_of("shop.yml", shared, table)
