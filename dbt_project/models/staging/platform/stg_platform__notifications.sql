-- One row per message about an incident, sent or not.
with events as (
    select * from {{ source('platform', 'notifications') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    incident_id,
    transition,
    channel,
    outcome,
    attempts,
    message
from latest
