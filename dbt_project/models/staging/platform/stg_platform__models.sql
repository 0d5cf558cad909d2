-- One row per model and run that built it.
with events as (
    select * from {{ source('platform', 'models') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    run_id,
    dataset as dataset_key,
    status,
    cast(seconds as decimal(18, 6)) as seconds,
    row_count,
    message,
    materialized
from latest
