-- One row per user, account, feature and day on which the user used the feature in that account.
-- depends_on: {{ ref('event_taxonomy') }} (through fct_product_events: when it changes, all is rebuilt)
{{ config(
    materialized='touched_partitions',
    partition_by='used_on',
    touched_by=[{'model': 'stg_events__product_events'}, {'whole': 'event_taxonomy'}],
) }}

with feature_events as (
    select
        user_id,
        account_id,
        feature,
        occurred_on
    from {{ ref('fct_product_events') }}
    where
        feature is not null
        and {{ within_touched('occurred_on') }}
),

daily as (
    select
        user_id,
        account_id,
        feature,
        occurred_on as used_on,
        count(*) as event_count
    from feature_events
    group by user_id, account_id, feature, occurred_on
)

select
    user_id,
    account_id,
    feature,
    used_on,
    event_count
from daily
