"""What consumers see of the published rows: one view per table, in the schema `published`.

New rows need no change of a view. New columns do, and that is the one moment at which a reader can
be in the way: a view cannot be changed under a transaction that has read it. Nobody waits long for
the other: after a few short tries the table stays as it was, and says whom it waits for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from warehouse.audiences import Audience
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
_OTHER_COLUMNS: Final = "42P16"
OWN: Final = ("_publish", "_snapshot")


def view_of(table: str) -> str:
    return f"{VIEWS}.{named(table)}"


@dataclass(frozen=True)
class Seen:
    """What the policy says of a table: its personal columns, and what each role sees."""

    masked: tuple[str, ...] = ()
    audiences: tuple[Audience, ...] = ()


def definition(shape: Shape, seen: Seen, owner: str) -> str:
    """The rows that are shown now, to each role as the policy says.

    A transaction that began before the table had these columns would find none of its rows (they
    lie elsewhere for it): it is told so, instead of being shown an empty table.
    """
    told = literal(f"{shape.table} has other columns since snapshot ")
    end = literal(", which began after this transaction: begin another one")
    guard = (
        f"(select case when number >= {shape.since} then true"
        f" else ({told} || snapshot_id || {end})::boolean end from {SCHEMA}._current)"
    )
    columns = ", ".join(_column(shape, name, seen) for name, _ in shape.columns)
    return f"select {columns} from {shape.rows} where {guard}{_rows(seen.audiences, owner)}"


def _column(shape: Shape, name: str, seen: Seen) -> str:
    """Masked, unless the session has a ticket; nothing at all while there is no mask of it yet."""
    if name not in seen.masked and name not in shape.masked:
        return named(name)
    mask = shape.mask_of(name) if name in shape.masked else "null::text"
    clear = [each.role for each in seen.audiences if each.shown.get(name) == "clear"]
    if not clear:
        return f"{mask} as {named(name)}"
    case = f"case when {_has_ticket(shape.table, clear)} then {named(name)}::text else {mask} end"
    return f"{case} as {named(name)}"


def _has_ticket(table: str, roles: Sequence[str]) -> str:
    """A ticket of this session that an earlier transaction has committed: its trace stays."""
    return (
        f"(select exists (select from {SCHEMA}._tickets where table_name = {literal(table)}"
        " and pid = pg_backend_pid() and reader = session_user and until > statement_timestamp()"
        " and backend_start ="
        " (select backend_start from pg_stat_get_activity(pg_backend_pid()))"
        f" and xid is distinct from pg_current_xact_id_if_assigned()) and {_is_one_of(roles)})"
    )


def _is_one_of(roles: Sequence[str]) -> str:
    listed = ", ".join(literal(each) for each in sorted(set(roles)))
    return (
        f"(select exists (select from pg_roles where rolname in ({listed})"
        " and pg_has_role(current_user, oid, 'usage')))"
    )


def _rows(audiences: Sequence[Audience], owner: str) -> str:
    """Rights add up: who is of two roles sees the rows of both."""
    if not any(each.rows for each in audiences):
        return ""
    all_rows = [owner, *(each.role for each in audiences if not each.rows)]
    some = [f"({_is_one_of([each.role])} and ({each.rows}))" for each in audiences if each.rows]
    return f" and ({' or '.join([_is_one_of(all_rows), *some])})"


def as_it_was(shape: Shape, number: int, now: Shape | None, *, clear: bool = False) -> str:
    """The rows that were shown at a number, with what is personal now kept back as it is now."""

    def listed(name: str) -> str:
        is_masked_now = now is not None and name in now.masked
        if clear or not (is_masked_now or name in shape.masked):
            return named(name)
        is_of_this_key = now is None or _key(now) == _key(shape)
        mask = shape.mask_of(name) if name in shape.masked and is_of_this_key else "null::text"
        return f"{mask} as {named(name)}"

    return rows.as_of(shape, number, ", ".join(listed(name) for name, _ in shape.columns))


def _key(shape: Shape) -> str:
    return shape.masks.partition(":")[0]


def show(session: Connection, shape: Shape, seen: Seen) -> str:
    """Let the table's view show this shape so; the reason, if somebody is in the way."""
    [owner] = session.execute("select current_user").fetchone()
    wanted, view = definition(shape, seen, owner), view_of(shape.table)
    barrier = str(bool(seen.masked) or any(each.rows for each in seen.audiences)).lower()
    create = f"create or replace view {view} with (security_barrier = {barrier}) as {wanted}"
    try:
        in_the_way = attempt(session, shape.table, create)
    except EngineError as error:
        if sqlstate(error) != _OTHER_COLUMNS:
            raise
        rights = _rights(session, shape)
        in_the_way = attempt(session, shape.table, f"drop view {view}", create, *rights)
    if not in_the_way:
        _note(session, shape.table, wanted, seen)
    return in_the_way


def _note(session: Connection, table: str, wanted: str, seen: Seen) -> None:
    audiences = json.dumps([asdict(each) for each in seen.audiences])
    session.execute(
        f"insert into {SCHEMA}._views values (?, ?, ?::text[], ?::jsonb)"
        " on conflict (table_name) do update set definition = excluded.definition,"
        " masked = excluded.masked, audiences = excluded.audiences",
        [table, wanted, list(seen.masked), audiences],
    )


def shown(session: Connection) -> dict[str, tuple[str, Seen]]:
    """By table, what its view is, and of what policy it was made; also of those that are hidden."""
    found = session.execute(
        f"select table_name, definition, masked, audiences from {SCHEMA}._views"
    ).fetchall()
    return {
        table: (text, Seen(tuple(masked), tuple(Audience(**each) for each in audiences)))
        for table, text, masked, audiences in found
    }


def hide(session: Connection, table: str) -> str:
    """Take the view of a table away; the reason, if somebody is in the way."""
    in_the_way = attempt(session, table, f"drop view if exists {view_of(table)}")
    if not in_the_way:
        session.execute(f"update {SCHEMA}._views set definition = '' where table_name = ?", [table])
    return in_the_way


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


def _rights(session: Connection, shape: Shape) -> list[str]:
    """The rights on a view, to be given anew to the one that takes its place."""
    rights = session.execute(
        """select privilege_type, attname, case when grantee = 0 then 'public'
                  else quote_ident(pg_get_userbyid(grantee)) end
           from (
               select oid as place, relowner, relacl as acl, null as attname from pg_class
               union all
               select attrelid, relowner, attacl, attname
               from pg_attribute inner join pg_class on pg_class.oid = attrelid
               where attnum > 0 and not attisdropped
           ) as places, aclexplode(acl)
           where place = to_regclass(?) and grantee <> relowner""",
        [view_of(shape.table)],
    ).fetchall()
    there = {name for name, _ in shape.columns}
    return [
        f"grant {right}{f' ({named(column)})' if column else ''} on {view_of(shape.table)}"
        f" to {grantee}"
        for right, column, grantee in rights
        if column is None or column in there
    ]


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
            [str(VIEWS), str(VIEWS)],
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
