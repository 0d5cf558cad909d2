-- One row per start and per end of a run.
with events as (
    select * from {{ source('platform', 'runs') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    event,
    run_id,
    job,
    trigger,
    coalesce(cast(selection as {{ dbt.type_string() }}), '[]') not in ('[]', 'null') as is_selection,
    outcome,
    cast(seconds as decimal(18, 6)) as seconds
from latest
