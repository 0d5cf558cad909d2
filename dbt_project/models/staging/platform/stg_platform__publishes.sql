-- One row per change of what consumers see.
with events as (
    select * from {{ source('platform', 'publishes') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    event,
    snapshot_id,
    run_id,
    as_of,
    size_bytes,
    cast(seconds as decimal(18, 6)) as seconds
from latest
