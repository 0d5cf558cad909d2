-- One row per state that a gate was put into.
with events as (
    select * from {{ source('platform', 'gates') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    key as dataset_key,
    state,
    kind,
    reason,
    run_id,
    arrived_at,
    override_by,
    override_until,
    checks,
    cast(seconds as decimal(18, 6)) as seconds
from latest
