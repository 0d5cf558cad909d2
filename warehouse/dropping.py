"""Taking a whole environment away, such as one that continuous integration made for one run."""

from __future__ import annotations

import shutil
from collections.abc import Collection

from warehouse import environments
from warehouse.connection import EngineError, named
from warehouse.errors import SettingsError, SluiceError
from warehouse.settings import Settings
from warehouse.snapshot_rows import books, granting
from warehouse.workshop import writing


def drop(settings: Settings, roles: Collection[str]) -> list[str]:
    """All that this environment made: schemas, the roles that read there, and its own files."""
    if not settings.schema_prefix or settings.environment == "prod":
        raise SettingsError(
            "Nothing was dropped: this is production, or an environment without a prefix.",
            remedy="SLUICE_SCHEMA_PREFIX and SLUICE_ENVIRONMENT (ci or dev) say which one is "
            "meant; a database or a data folder of its own is dropped as a whole.",
        )
    gone: list[str] = []
    with writing(settings, "sluice environment drop"):
        if settings.target == "postgres":
            gone = [*_drop_schemas(settings), *_drop_roles(settings, roles)]
    if settings.own_dir.exists():
        shutil.rmtree(settings.own_dir)
    return gone


def _drop_schemas(settings: Settings) -> list[str]:
    with books.alone(settings, "environment drop") as session:
        gone = environments.schemas(session)
        with books.transaction(session):
            for schema in gone:
                session.execute(f"drop schema {named(schema)} cascade")
        return gone


def _drop_roles(settings: Settings, roles: Collection[str]) -> list[str]:
    """They are the whole server's: what they may in this database has to go first."""
    with granting.administering(settings) as admin, books.transaction(admin):
        there = {name for (name,) in admin.execute("select rolname from pg_roles").fetchall()}
        [database] = admin.execute("select current_database()").fetchone()
        gone = sorted(there & set(roles))
        for role in gone:
            admin.execute(f"revoke all on database {named(database)} from {named(role)}")
            try:
                admin.execute(f"drop role {named(role)}")
            except EngineError as error:
                raise SluiceError(
                    f"The schemas are dropped; the roles and files are not: {error}",
                    remedy="Take away what the role may elsewhere, then drop again.",
                ) from error
        return gone
