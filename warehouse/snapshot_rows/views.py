"""What consumers see of the published rows: one view per table, in the schema `published`.

New rows need no change of a view. New columns do, and that is the one moment at which a reader can
be in the way: a view cannot be changed under a transaction that has read it. Nobody waits long for
the other: after a few short tries the table stays as it was, and says whom it waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from warehouse.connection import Connection, EngineError, literal, named
from warehouse.postgres import sqlstate
from warehouse.snapshot_rows import rows
from warehouse.snapshot_rows.books import SCHEMA, VIEWS, Shape, at
from warehouse.snapshots import PublicColumn

TRIES: Final = 3
# While we wait, those who come after us wait, too: so long may a new reader be held up, per try.
WAIT_MILLISECONDS: Final = 300
_IN_USE: Final = ("55P03", "40P01")
_READ_BY_OTHERS: Final = "2BP01"
OWN: Final = ("_publish", "_snapshot")


def view_of(table: str) -> str:
    return f"{VIEWS}.{named(table)}"


def definition(shape: Shape) -> str:
    """The rows that are shown now, for whoever may see them as they are.

    A transaction that began before the table had these columns would find none of its rows (they
    lie elsewhere for it): it is told so, instead of being shown an empty table.
    """
    told = literal(f"{shape.table} has other columns since snapshot ")
    end = literal(", which began after this transaction: begin another one")
    return (
        f"select {shape.listed} from {shape.rows}"
        f" where (select case when number >= {shape.since} then true"
        f" else ({told} || snapshot_id || {end})::boolean end from {SCHEMA}._current)"
    )


def as_it_was(shape: Shape, number: int) -> str:
    """The rows that were shown at a number."""
    return rows.as_of(shape, number)


def show(session: Connection, shape: Shape, before: Shape | None) -> str:
    """Let the table's view show these tables; the reason, if somebody is in the way."""
    view = view_of(shape.table)
    if before is not None and before.columns == shape.columns[: len(before.columns)]:
        return attempt(
            session, shape.table, f"create or replace view {view} as {definition(shape)}"
        )
    rights = _rights(session, shape.table) if before is not None else []
    return attempt(
        session,
        shape.table,
        f"drop view if exists {view}",
        f"create view {view} as {definition(shape)}",
        *rights,
    )


def hide(session: Connection, table: str) -> str:
    """Take the view of a table away; the reason, if somebody is in the way."""
    return attempt(session, table, f"drop view if exists {view_of(table)}")


def attempt(session: Connection, table: str, *statements: str) -> str:
    """In one transaction with what was done before, or not at all: then the reason is told."""
    for _ in range(TRIES):
        session.execute("savepoint attempt")
        try:
            session.execute(f"set local lock_timeout = {WAIT_MILLISECONDS}")
            for statement in statements:
                session.execute(statement)
        except EngineError as error:
            session.execute("rollback to savepoint attempt")
            if sqlstate(error) == _READ_BY_OTHERS:
                return f"its columns have changed, and others build on its view: {error}"
            if sqlstate(error) not in _IN_USE:
                raise
        else:
            session.execute("set local lock_timeout = 0")
            session.execute("release savepoint attempt")
            return ""
    return f"its columns have changed, and a reader holds it: {_holder(session, table)}"


def _holder(session: Connection, table: str) -> str:
    row = session.execute(
        """select usename, pid, xact_start from pg_locks inner join pg_stat_activity using (pid)
           where relation = to_regclass(?) and granted and pid <> pg_backend_pid()
           order by xact_start limit 1""",
        [view_of(table)],
    ).fetchone()
    if row is None:
        return "it has let go meanwhile"
    user, pid, since = row
    return f"{user} (pid {pid})" + (f" since {at(since)}" if since is not None else "")


def _rights(session: Connection, table: str) -> list[str]:
    """The rights on a view, to be given anew to the one that takes its place."""
    rights = session.execute(
        """select privilege_type, case when grantee = 0 then 'public'
                  else quote_ident(pg_get_userbyid(grantee)) end
           from pg_class, aclexplode(relacl)
           where pg_class.oid = to_regclass(?) and grantee <> relowner""",
        [view_of(table)],
    ).fetchall()
    return [f"grant {right} on {view_of(table)} to {grantee}" for right, grantee in rights]


def comments(session: Connection) -> dict[tuple[str, str], str]:
    """By table and column, what the views say; of a table itself, by an empty name."""
    return {
        (table, column or ""): comment or ""
        for table, column, comment in session.execute(
            """select c.relname, a.attname, col_description(c.oid, a.attnum)
               from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid
               where c.relnamespace = to_regnamespace(?) and a.attnum > 0
               union all
               select relname, null, obj_description(oid, 'pg_class') from pg_class
               where relnamespace = to_regnamespace(?)""",
            [VIEWS, VIEWS],
        ).fetchall()
    }


def comment(session: Connection, tables: Sequence[tuple[str, str, Sequence[PublicColumn]]]) -> None:
    """Say what tables and columns are, where the views do not say so already."""
    said = comments(session)
    for name, description, columns in tables:
        if said.get((name, ""), description) != description:
            session.execute(f"comment on view {view_of(name)} is {literal(description)}")
        for column in columns:
            if said.get((name, column.name), column.description) != column.description:
                session.execute(
                    f"comment on column {view_of(name)}.{named(column.name)}"
                    f" is {literal(column.description)}"
                )
