-- One row per question to the published snapshot.
with events as (
    select * from {{ source('platform', 'queries') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    interface,
    snapshot_id,
    asked,
    row_count,
    outcome,
    cast(seconds as decimal(18, 6)) as seconds
from latest
