-- One row per read of clear values, ticket for one, grant, revoke, and change of who is in a role.
with events as (
    select * from {{ source('platform', 'access') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    coalesce(happened_at, logged_at) as happened_at,
    event,
    {{ adapter.quote('by') }} as done_by,
    because,
    {{ adapter.quote('tables') }} as table_names,
    {{ adapter.quote('until') }} as until_at,
    snapshot_id,
    {{ adapter.quote('role') }} as role_name,
    {{ adapter.quote('member') }} as member_name,
    {{ adapter.quote('statement') }} as statement_sql
from latest
