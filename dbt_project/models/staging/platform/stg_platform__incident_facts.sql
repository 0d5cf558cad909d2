-- One row per fact that a person added to an incident.
with events as (
    select * from {{ source('platform', 'incidents') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    latest.event_id,
    latest.logged_at,
    latest.incident_id,
    latest.fact,
    latest.by as added_by,
    latest.text as fact_text
from latest
