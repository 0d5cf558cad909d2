"""Rights on the server: those that the policy asks for, those that there are, and what differs.

A right is named in one way on both sides, so that missing and extra ones are differences of sets.
Whatever is granted to anybody but owner, platform and superusers is looked at: in every schema, on
the database, by default, and to PUBLIC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from warehouse import environments
from warehouse.audiences import Audience
from warehouse.connection import Connection, literal, named
from warehouse.schemas import called
from warehouse.snapshot_rows.books import VIEWS
from warehouse.snapshot_rows.tickets import ticket, unmask
from warehouse.snapshot_rows.views import OWN, Seen

PUBLIC: Final = "public"
# Everybody may fill the disk with these, unless a superuser says otherwise.
LARGE_OBJECTS: Final = ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid,bytea)")
# What a role that only reads must not be, as pg_roles and as `alter role` call it.
_POWERS: Final = {
    "rolcanlogin": "nologin",
    "rolsuper": "nosuperuser",
    "rolcreatedb": "nocreatedb",
    "rolcreaterole": "nocreaterole",
    "rolreplication": "noreplication",
    "rolbypassrls": "nobypassrls",
}


@dataclass(frozen=True, order=True)
class Right:
    """One privilege on one thing for one grantee; `column` narrows it to one of a table."""

    kind: str
    thing: str
    privilege: str
    grantee: str
    column: str = ""
    owner: str = ""
    """Of a default privilege: whose future things it is on."""

    def _what(self) -> str:
        column = f" ({named(self.column)})" if self.column else ""
        return f"{self.privilege.lower()}{column} on {self.kind} {self.thing}"

    def _who(self) -> str:
        return PUBLIC if self.grantee == PUBLIC else named(self.grantee)

    def grant(self) -> str:
        return f"grant {self._what()} to {self._who()}"

    def revoke(self) -> str:
        if self.kind == "member":
            return f"revoke {named(self.thing)} from {self._who()}"
        if self.kind == "admin":
            return f"revoke admin option for {named(self.thing)} from {self._who()}"
        if self.owner:
            where = f" in schema {named(self.thing)}" if self.thing else ""
            return (
                f"alter default privileges for role {named(self.owner)}{where} revoke"
                f" {self.privilege.lower()} on {self.kind} from {self._who()}"
            )
        return f"revoke {self._what()} from {self._who()}"


def roles_of(wanted: Mapping[str, Seen]) -> tuple[str, ...]:
    """The roles that read; the platform's own is nobody's business here."""
    found = {each.role for seen in wanted.values() for each in seen.audiences if not each.writes}
    return tuple(sorted(found))


def writers_of(wanted: Mapping[str, Seen]) -> tuple[str, ...]:
    found = {each.role for seen in wanted.values() for each in seen.audiences if each.writes}
    return tuple(sorted(found))


def desired(
    wanted: Mapping[str, Seen], views: Mapping[str, Sequence[str]], database: str
) -> set[Right]:
    """What the policy asks for, of the views that there are (with their columns)."""
    roles = roles_of(wanted)
    found = {Right("database", named(database), "CONNECT", role) for role in roles}
    found |= {Right("schema", named(str(VIEWS)), "USAGE", role) for role in roles}
    found |= {
        Right("table", _view(own), "SELECT", role) for own in OWN if own in views for role in roles
    }
    for table, seen in wanted.items():
        for audience in seen.audiences:
            if table in views and not audience.writes:
                found |= set(_of_table(table, audience, views[table]))
                if any(audience.shown.get(name) == "clear" for name in seen.masked):
                    found |= {
                        Right("routine", each, "EXECUTE", audience.role)
                        for each in (ticket(), unmask())
                    }
    return found


def _view(table: str) -> str:
    return f"{named(str(VIEWS))}.{named(table)}"


def _of_table(table: str, audience: Audience, columns: Sequence[str]) -> Iterator[Right]:
    shown = [name for name in columns if name in audience.columns]
    if shown and len(shown) == len(columns):
        yield Right("table", _view(table), "SELECT", audience.role)
        return
    for name in shown:
        yield Right("table", _view(table), "SELECT", audience.role, name)


def give(session: Connection, table: str, columns: Sequence[str], seen: Seen) -> list[str]:
    """What the roles that there are read of a view that was just made; the statements."""
    there = {name for (name,) in session.execute("select rolname from pg_roles").fetchall()}
    given = [
        right.grant()
        for audience in seen.audiences
        if audience.role in there and not audience.writes
        for right in _of_table(table, audience, columns)
    ]
    for statement in given:
        session.execute(statement)
    return given


_SCHEMAS: Final = "nspname !~ '^pg_' and nspname <> 'information_schema'"
_NO_EXTENSION: Final = (
    "not exists (select from pg_depend as d where d.classid = {0}::regclass and d.objid = {1}.oid"
    " and d.deptype = 'e')"
)


def _quoted(name: str) -> str:
    """As `named` does it, whether the name needs it or not."""
    return f"""'"' || replace({name}, '"', '""') || '"'"""


# kind, thing, privilege, grantee (0: everybody), column, whose default.
_ACTUAL: Final = f"""
    select 'database', {_quoted("datname")}, privilege_type, grantee, '', ''
    from pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))
    where datname = current_database() and grantee <> datdba
    union all
    select 'schema', {_quoted("nspname")}, privilege_type, grantee, '', ''
    from pg_namespace as n, aclexplode(nspacl)
    where {_SCHEMAS} and grantee <> nspowner
    union all
    select case relkind when 'S' then 'sequence' else 'table' end,
        {_quoted("nspname")} || '.' || {_quoted("relname")}, privilege_type, grantee, '', ''
    from pg_class as c inner join pg_namespace as n on n.oid = relnamespace, aclexplode(relacl)
    where {_SCHEMAS} and grantee <> relowner and {_NO_EXTENSION.format("'pg_class'", "c")}
    union all
    select 'table', {_quoted("nspname")} || '.' || {_quoted("relname")}, privilege_type, grantee,
        attname, ''
    from pg_attribute as a inner join pg_class as c on c.oid = attrelid
    inner join pg_namespace as n on n.oid = relnamespace, aclexplode(attacl)
    where {_SCHEMAS} and grantee <> relowner and not attisdropped
    union all
    select 'routine', {_quoted("nspname")} || '.' || {_quoted("proname")} || '('
        || pg_get_function_identity_arguments_types(p.oid) || ')', privilege_type, grantee, '', ''
    from pg_proc as p inner join pg_namespace as n on n.oid = pronamespace,
        aclexplode(coalesce(proacl, acldefault('f', proowner)))
    where {_SCHEMAS} and grantee <> proowner and {_NO_EXTENSION.format("'pg_proc'", "p")}
    union all
    select case defaclobjtype when 'r' then 'tables' when 'S' then 'sequences'
            when 'f' then 'functions' when 'T' then 'types' else 'schemas' end,
        coalesce(nspname, ''), privilege_type, grantee, '', pg_get_userbyid(defaclrole)
    from pg_default_acl left join pg_namespace as n on n.oid = defaclnamespace,
        aclexplode(defaclacl)
    where grantee <> defaclrole
    union all
    select 'server', {_quoted("srvname")}, privilege_type, grantee, '', ''
    from pg_foreign_server, aclexplode(srvacl) where grantee <> srvowner
""".replace(
    "pg_get_function_identity_arguments_types(p.oid)",
    "(select coalesce(string_agg(format_type(t, null), ', ' order by nth), '')"
    " from unnest(p.proargtypes) with ordinality as types(t, nth))",
)


def differences(ask: set[Right], there: set[Right]) -> list[str]:
    """Statements that make one of the other. Revoking a table's takes its columns' along."""
    extra = there - ask
    tables = {(each.thing, each.privilege, each.grantee) for each in extra if not each.column}
    again = {
        each for each in ask if each.column and (each.thing, each.privilege, each.grantee) in tables
    }
    return [
        *(each.revoke() for each in sorted(extra)),
        *(each.grant() for each in sorted((ask - there) | again)),
    ]


def actual(session: Connection, roles: Sequence[str], ours: Iterable[str]) -> set[Right]:
    """Every right that somebody has who is neither owner, nor superuser, nor one of ours.

    What another environment of this database gives to its own roles is not looked at.
    """
    ours = set(ours)
    is_theirs = _of_others(session, roles)
    rows = session.execute(
        "select kind, thing, privilege, coalesce(rolname, 'public'), att, owner"
        f" from ({_ACTUAL}) as found(kind, thing, privilege, grantee, att, owner)"
        " left join pg_roles as r on r.oid = grantee where not coalesce(rolsuper, false)"
    ).fetchall()
    found = {
        Right(kind, thing, privilege, grantee, column, owner)
        for kind, thing, privilege, grantee, column, owner in rows
        if grantee not in ours
    }
    found = {each for each in found if not is_theirs(each)}
    return found | set(_memberships(session, roles, ours)) | set(_large_objects(session))


def _of_others(session: Connection, roles: Sequence[str]) -> Callable[[Right], bool]:
    """Is a right another environment's: on its things, or its readers' on what is nobody's?"""
    known = environments.prefixes(session)
    ours = called("")
    readers = {
        role
        for (role,) in session.execute(
            "select rolname from pg_namespace, aclexplode(nspacl)"
            " inner join pg_roles as r on r.oid = grantee where nspname = any(?)",
            [[f"{each}{VIEWS.word}" for each in known - {ours}]],
        ).fetchall()
        if role not in roles
    }

    def is_theirs(right: Right) -> bool:
        is_in_schema = right.kind not in ("database", "server")
        schema = right.thing.partition('"."')[0].strip('"') if is_in_schema else ""
        whose = environments.of(schema, known) if schema not in ("", PUBLIC) else None
        return right.grantee in readers if whose is None else whose != ours

    return is_theirs


def _memberships(session: Connection, roles: Sequence[str], ours: set[str]) -> Iterator[Right]:
    """What a role gets from others, and who may hand it on."""
    rows = session.execute(
        "select r.rolname, m.rolname, admin_option, m.rolsuper from pg_auth_members as a"
        " inner join pg_roles as r on r.oid = a.roleid inner join pg_roles as m on m.oid = a.member"
    ).fetchall()
    for role, member, may_hand_on, is_super in rows:
        if member in roles:
            yield Right("member", role, "MEMBER", member)
        if role in roles and may_hand_on and not is_super and member not in ours:
            yield Right("admin", role, "ADMIN", member)


def _large_objects(session: Connection) -> Iterator[Right]:
    """Only a superuser can change them: to others they are no finding but a fact."""
    [is_super] = session.execute(
        "select rolsuper from pg_roles where rolname = current_user"
    ).fetchone()
    for function in LARGE_OBJECTS if is_super else ():
        place = f"pg_catalog.{function}"
        [is_open] = session.execute(
            "select exists (select from pg_proc,"
            " aclexplode(coalesce(proacl, acldefault('f', proowner)))"
            f" where oid = {literal(place)}::regprocedure and grantee = 0)"
        ).fetchone()
        if is_open:
            yield Right("routine", place, "EXECUTE", PUBLIC)


def make_roles(session: Connection, roles: Sequence[str], writers: Sequence[str]) -> list[str]:
    """Statements that make the roles what they are: names for rights, which nobody logs in with."""
    found = {
        name: [lack for lack, has in zip(_POWERS.values(), powers, strict=True) if has]
        for name, *powers in session.execute(
            f"select rolname, {', '.join(_POWERS)} from pg_roles"
        ).fetchall()
    }
    missing = [each for each in (*writers, *roles) if each not in found]
    return [
        *(f"create role {named(each)} nologin" for each in missing),
        # Only what is wrong is named: who is no superuser may not even say `nosuperuser`.
        *(f"alter role {named(each)} {' '.join(found[each])}" for each in roles if found.get(each)),
    ]


def people_with_more(session: Connection, roles: Sequence[str], ours: Iterable[str]) -> list[str]:
    """Who has a role that reads, and besides what makes its limits void: for a person to mend."""
    if not roles:
        return []
    listed = ", ".join(literal(each) for each in roles)
    rows = session.execute(
        f"""
        select distinct m.rolname, case when m.rolsuper then 'is a superuser'
            when m.rolbypassrls or m.rolcreaterole or m.rolreplication
            then 'may make roles, replicate or bypass row security'
            else 'is also a member of ' || p.rolname end
        from pg_roles as r
        inner join pg_roles as m on pg_has_role(m.oid, r.oid, 'member') and m.oid <> r.oid
        left join pg_roles as p on p.rolname ~ '^pg_' and pg_has_role(m.oid, p.oid, 'member')
        where r.rolname in ({listed}) and m.rolcanlogin and not m.rolsuper
            and (p.oid is not null or m.rolbypassrls or m.rolcreaterole or m.rolreplication)
        """
    ).fetchall()
    ours = set(ours)
    return [f"{name} has a role that only reads, and {why}." for name, why in rows
            if name not in ours]  # fmt: skip
