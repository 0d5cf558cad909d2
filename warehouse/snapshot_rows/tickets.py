"""Tickets: a session's permission to see a table's personal columns in clear, logged beforehand.

`call published.unmask('dim_users', 'the customer asked')` notes who, what and why, and commits. The
views show clear values only to a session with a ticket that an earlier transaction committed, so
that no roll back can take the trace away with it.
"""

from __future__ import annotations

from typing import Final

from warehouse.connection import Connection, named
from warehouse.snapshot_rows.books import SCHEMA, VIEWS

HOURS: Final = 1

# The session's start comes from the caller, who alone may see it; a wrong one opens nothing.
_FUNCTIONS: Final = """
create or replace function {published}._ticket(
    table_wanted text, why text, session_since timestamp with time zone
) returns timestamp with time zone
language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
declare ends timestamptz := statement_timestamp() + interval '{hours} hours';
begin
    if coalesce(btrim(why), '') = '' then
        raise exception 'What is personal is not read in clear without a reason.'
            using errcode = 'invalid_parameter_value';
    end if;
    if not exists (
        select from {snapshots}._views as v
        cross join jsonb_to_recordset(v.audiences) as a (role text, shown jsonb)
        inner join pg_roles as r on r.rolname = a.role
        where v.table_name = table_wanted and pg_has_role(session_user, r.oid, 'member')
            and exists (
                select from jsonb_each_text(a.shown) as s
                where s.key = any(v.masked) and s.value = 'clear'
            )
    ) then
        raise exception '% may not read personal columns of %.', session_user, table_wanted
            using errcode = 'insufficient_privilege';
    end if;
    insert into {snapshots}._tickets (table_name, reader, reason, until, pid, backend_start, xid)
    values (
        table_wanted, session_user, why, ends, pg_backend_pid(), session_since,
        pg_current_xact_id()
    );
    insert into {snapshots}._accesses (event) values (jsonb_build_object(
        'event', 'unmasked', 'by', session_user, 'because', why, 'tables', array[table_wanted],
        'until', ends
    ));
    return ends;
end $body$;
create or replace procedure {published}.unmask(table_wanted text, why text)
language plpgsql as $body$
begin
    perform {published}._ticket(
        table_wanted, why,
        (select backend_start from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()))
    );
    commit;
end $body$;
"""


def ticket() -> str:
    """The function, as rights name it."""
    return f'{named(str(VIEWS))}."_ticket"(text, text, timestamp with time zone)'


def unmask() -> str:
    """The procedure that people call, as rights name it."""
    return f'{named(str(VIEWS))}."unmask"(text, text)'


def make(session: Connection) -> None:
    """What gives tickets; nobody may ask for one before `sluice grants apply` says who may."""
    session.execute(
        f"{_FUNCTIONS.format(snapshots=SCHEMA, published=VIEWS, hours=HOURS)}"
        f" revoke all on function {ticket()} from public;"
        f" revoke all on procedure {unmask()} from public;"
    )
