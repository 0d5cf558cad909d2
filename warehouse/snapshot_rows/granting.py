"""`sluice grants`: the server's rights made those of the policy; every change told to the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from warehouse import platform_log
from warehouse.connection import Connection, literal, named
from warehouse.errors import LockedError, SluiceError
from warehouse.postgres import PostgresConnection
from warehouse.schemas import called
from warehouse.settings import Settings
from warehouse.snapshot_rows import books, reading, rights, tickets, views
from warehouse.snapshot_rows.books import SCHEMA, VIEWS
from warehouse.snapshot_rows.views import Seen

KIND = "access"


@dataclass(frozen=True)
class Plan:
    """What makes the server what the policy says; empty if it is so. `findings` need a person."""

    statements: tuple[str, ...] = ()
    other_views: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.statements or self.other_views or self.findings)


def plan(settings: Settings, wanted: Mapping[str, Seen]) -> Plan:
    """Look, and change nothing. `wanted`: by public table, what the policy says of it."""
    with reading.session(settings) as session, administering(settings) as admin:
        return _plan(settings, session, admin, wanted)


def apply(settings: Settings, wanted: Mapping[str, Seen]) -> Plan:
    """Views first, then roles and rights, in one transaction; what was done."""
    with books.alone(settings, "grants") as session, administering(settings) as admin:
        tickets.make(session)
        for table in _plan(settings, session, admin, wanted).other_views:
            _show(session, table, wanted[table])
        found = _plan(settings, session, admin, wanted)
        with books.transaction(admin):
            for statement in found.statements:
                admin.execute(statement)
        with books.transaction(session):
            for statement in found.statements:
                said = {"event": _event(statement), "statement": statement, "by": _user(admin)}
                books.note(session, said)
        left = _plan(settings, session, admin, wanted)
        if left.statements or left.other_views:
            raise SluiceError(
                f"Rights are not what the policy says after all: {_first(left)}",
                remedy="Somebody who owns the thing has to do that: `sluice grants plan` shows it.",
            )
        collect(settings, session)
    return Plan(found.statements, (), left.findings)


def collect(settings: Settings, session: PostgresConnection) -> int:
    """Tell the platform log what the server noted: tickets, grants, who came and who went.

    Call it in the session of `books.alone`.
    """
    _note_members(session)
    rows = session.execute(
        f"select access, happened_at, event from {SCHEMA}._accesses where not is_logged"
        " order by access"
    ).fetchall()
    if rows:
        [server] = session.execute(
            "select concat(system_identifier, '-', current_database()) from pg_control_system()"
        ).fetchone()
        # The id is the server's: told twice, after a kill, it is still one event.
        events = [
            {"event_id": f"{called(server)}-{number}", "happened_at": at.isoformat(), **event}
            for number, at, event in rows
        ]
        platform_log.append(settings, KIND, events)
        session.execute(
            f"update {SCHEMA}._accesses set is_logged = true where access = any(?)",
            [[number for number, _, _ in rows]],
        )
    return len(rows)


@contextmanager
def administering(settings: Settings) -> Iterator[PostgresConnection]:
    """Who may make roles: the platform's own role, unless another one is named."""
    given = settings.postgres_admin.get_secret_value() or settings.postgres.get_secret_value()
    here = settings.model_copy(update={"postgres": SecretStr(given)})
    with reading.session(here) as admin:
        yield admin


def _plan(
    settings: Settings, session: Connection, admin: Connection, wanted: Mapping[str, Seen]
) -> Plan:
    roles, writers = rights.roles_of(wanted), rights.writers_of(wanted)
    ours = {_user(session), _user(admin), *writers}
    [database] = admin.execute("select current_database()").fetchone()
    columns = _columns(admin)
    ask = rights.desired(wanted, columns, database)
    there = rights.actual(admin, roles, ours)
    platform = _user(session)
    keep = [f"grant all on database {named(database)} to {named(platform)}"]
    [is_served] = admin.execute(
        "select rolsuper or datdba = r.oid or 3 = (select count(*) from aclexplode(datacl)"
        " where grantee = r.oid) from pg_roles as r, pg_database"
        f" where datname = current_database() and rolname = {literal(platform)}"
    ).fetchone()
    statements = [
        *rights.make_roles(admin, roles, writers),
        *([] if is_served else keep),
        *rights.differences(ask, there),
    ]
    shown = views.shown(session) if columns else {}
    other = tuple(
        table
        for table in sorted(wanted.keys() & columns.keys())
        if table not in shown or shown[table][1] != wanted[table]
    )
    return Plan(tuple(statements), other, tuple(rights.people_with_more(admin, roles, ours)))


def _columns(session: Connection) -> dict[str, list[str]]:
    """By view, its columns."""
    found: dict[str, list[str]] = {}
    for table, column in session.execute(
        "select relname, attname from pg_attribute inner join pg_class on pg_class.oid = attrelid"
        f" where relnamespace = to_regnamespace({literal(str(VIEWS))}) and relkind = 'v'"
        " and attnum > 0 order by relname, attnum"
    ).fetchall():
        found.setdefault(table, []).append(column)
    return found


def _show(session: PostgresConnection, table: str, seen: Seen) -> None:
    now = books.current(session)
    shape = books.lives_at(session, now.number).get(table) if now is not None else None
    if shape is None:
        return
    with books.transaction(session):
        in_the_way = views.show(session, shape, seen)
    if in_the_way:
        raise LockedError(
            f"{table} is not shown as the policy says yet: {in_the_way}.",
            remedy="Try again when that reader has ended, or end it.",
        )


def _note_members(session: PostgresConnection) -> None:
    """Whoever was given or lost a role by hand since we last looked."""
    now = set(
        session.execute(
            "select distinct r.rolname, m.rolname from pg_auth_members as a"
            " inner join pg_roles as r on r.oid = a.roleid"
            " inner join pg_roles as m on m.oid = a.member"
            f" where r.rolname in (select jsonb_array_elements(audiences) ->> 'role'"
            f" from {SCHEMA}._views)"
        ).fetchall()
    )
    before = set(session.execute(f"select role, member from {SCHEMA}._members").fetchall())
    with books.transaction(session):
        for what, changed in (("member_added", now - before), ("member_removed", before - now)):
            for role, member in sorted(changed):
                books.note(session, {"event": what, "role": role, "member": member})
        session.execute(f"delete from {SCHEMA}._members")
        for role, member in sorted(now):
            session.execute(f"insert into {SCHEMA}._members values (?, ?)", [role, member])


def _event(statement: str) -> str:
    return {"grant": "granted", "revoke": "revoked", "create": "role_made"}.get(
        statement.partition(" ")[0], "role_changed" if "role" in statement[:11] else "revoked"
    )


def _user(session: Connection) -> str:
    return str(session.execute("select current_user").fetchone()[0])


def _first(left: Plan) -> str:
    return (left.statements or tuple(f"the view {each}" for each in left.other_views))[0]
