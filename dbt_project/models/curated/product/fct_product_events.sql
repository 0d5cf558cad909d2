-- One row per product event, with what the event taxonomy says of it.
{{ config(materialized='view') }}

with events as (
    select * from {{ ref('stg_events__product_events') }}
),

taxonomy as (
    select * from {{ ref('event_taxonomy') }}
),

classified as (
    select
        events.event_id,
        events.event_name,
        taxonomy.category as event_category,
        taxonomy.feature,
        coalesce(taxonomy.is_activity, false) as is_activity,
        events.account_id,
        events.user_id,
        events.occurred_on,
        events.occurred_at,
        events.received_at,
        events.is_clock_corrected,
        events.platform,
        events.app_version,
        events.locale,
        events.duration_ms,
        events.item_count
    from events
    left join taxonomy on events.event_name = taxonomy.event_name
)

select
    event_id,
    event_name,
    event_category,
    feature,
    is_activity,
    account_id,
    user_id,
    occurred_on,
    occurred_at,
    received_at,
    is_clock_corrected,
    platform,
    app_version,
    locale,
    duration_ms,
    item_count
from classified
