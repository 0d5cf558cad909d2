"""What PostgreSQL says its schemas are made of, as statements that make them again.

What its catalogs (server_catalogs.py) are not asked for is refused by name: a backup that leaves
something out is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from warehouse.backups import server_catalogs as catalogs
from warehouse.connection import Connection, named
from warehouse.environments import schemas
from warehouse.errors import SluiceError


@dataclass(frozen=True)
class Table:
    """A table that holds rows, and the columns that are not computed."""

    schema: str
    name: str
    columns: tuple[str, ...]

    @property
    def full_name(self) -> str:
        return f"{named(self.schema)}.{named(self.name)}"


@dataclass(frozen=True)
class Structure:
    """Statements: `made` before the rows come, in any order that works; `finished` after them.

    `rights` need roles, which belong to the server and may not exist on another one.
    """

    server_version: int
    schemas: tuple[str, ...]
    made: tuple[str, ...]
    tables: tuple[Table, ...]
    finished: tuple[str, ...]
    rights: tuple[str, ...]

    @classmethod
    def of(cls, said: dict[str, Any]) -> Structure:
        """From an inventory."""
        return cls(
            said["server_version"],
            tuple(said["schemas"]),
            tuple(said["made"]),
            tuple(
                Table(each["schema"], each["name"], tuple(each["columns"]))
                for each in said["tables"]
            ),
            tuple(said["finished"]),
            tuple(said["rights"]),
        )


def read(session: Connection) -> Structure:
    """Everything in the platform's schemas (call it after the statements of catalogs.PLAIN)."""
    ours = schemas(session)
    reader = _Reader(session, ours)
    reader.refuse_unknown()
    return Structure(
        server_version=int(session.execute("show server_version_num").fetchone()[0]),
        schemas=tuple(ours),
        made=(
            *(f"create schema {named(each)}" for each in ours),
            *reader.statements(catalogs.SEQUENCES),
            *reader.statements(catalogs.FUNCTIONS),
            *reader.statements(catalogs.TABLES),
            *reader.statements(catalogs.VIEWS),
        ),
        tables=tuple(
            Table(schema, name, tuple(columns))
            for schema, name, columns in reader.rows(catalogs.TABLES_WITH_ROWS)
        ),
        finished=tuple(
            statement for query in catalogs.FINISHING for statement in reader.statements(query)
        ),
        rights=tuple(
            statement for query in catalogs.RIGHTS for statement in reader.statements(query)
        ),
    )


class _Reader:
    def __init__(self, session: Connection, ours: Sequence[str]) -> None:
        self.session, self.ours = session, list(ours)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """`HERE` stands for the schemas' ids."""
        places = query.count("HERE")
        return self.session.execute(
            query.replace("HERE", catalogs.HERE), [self.ours] * places
        ).fetchall()

    def statements(self, query: str) -> list[str]:
        return [statement for (statement,) in self.rows(query)]

    def refuse_unknown(self) -> None:
        found = [f"{what} {name}" for what, name in self.rows(catalogs.UNKNOWN)]
        if found:
            raise SluiceError(
                f"This warehouse cannot be backed up whole: {', '.join(found[:5])} is of a kind "
                "that a backup does not know.",
                remedy="Make it in a schema that is not the platform's, or drop it; it was made "
                "by hand, for Sluice makes none.",
            )


def dependents(session: Connection, ours: Sequence[str]) -> list[str]:
    """Views of others that read ours: dropping ours would take them along."""
    return _Reader(session, ours).statements(catalogs.DEPENDENTS)
