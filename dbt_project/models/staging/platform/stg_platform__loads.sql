-- One row per thing that a load came to: what an entity gained, a refusal, a drift, a file set aside.
with events as (
    select * from {{ source('platform', 'loads') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    outcome,
    run_id,
    source,
    entity,
    file,
    coalesce(file_count, 0) as file_count,
    coalesce(row_count, 0) as row_count,
    coalesce(quarantined_count, 0) as quarantined_count,
    reason,
    remedy,
    cast(seconds as decimal(18, 6)) as seconds
from latest
