-- One row per thing that the platform mended by itself.
with events as (
    select * from {{ source('platform', 'heals') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    what,
    run_id,
    source,
    entity,
    dataset as dataset_key,
    row_count,
    because
from latest
