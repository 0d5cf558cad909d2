-- One row per user, account and day on which the user was active in that account.
-- depends_on: {{ ref('event_taxonomy') }} (through fct_product_events: when it changes, all is rebuilt)
{{ config(
    materialized='touched_partitions',
    partition_by='active_on',
    touched_by=[{'model': 'stg_events__product_events'}, {'whole': 'event_taxonomy'}],
) }}

with activity as (
    select
        user_id,
        account_id,
        occurred_on,
        occurred_at
    from {{ ref('fct_product_events') }}
    where
        is_activity
        and {{ within_touched('occurred_on') }}
),

daily as (
    select
        user_id,
        account_id,
        occurred_on as active_on,
        count(*) as event_count,
        min(occurred_at) as first_active_at,
        max(occurred_at) as last_active_at
    from activity
    group by user_id, account_id, occurred_on
)

select
    user_id,
    account_id,
    active_on,
    event_count,
    first_active_at,
    last_active_at
from daily
