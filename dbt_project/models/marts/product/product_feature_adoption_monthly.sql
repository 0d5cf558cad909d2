-- One row per month and feature that was used in it.
with usage as (
    select distinct
        {{ month_start('used_on') }} as month_on,
        feature,
        user_id,
        account_id
    from {{ ref('fct_feature_usage_daily') }}
),

activity as (
    select distinct
        {{ month_start('active_on') }} as month_on,
        user_id,
        account_id
    from {{ ref('fct_user_activity_daily') }}
),

adopting as (
    select
        month_on,
        feature,
        count(distinct user_id) as user_count,
        count(distinct account_id) as account_count
    from usage
    group by month_on, feature
),

active as (
    select
        month_on,
        count(distinct user_id) as active_user_count,
        count(distinct account_id) as active_account_count
    from activity
    group by month_on
),

adoption as (
    select
        adopting.month_on,
        adopting.feature,
        adopting.user_count,
        adopting.account_count,
        active.active_user_count,
        active.active_account_count
    from adopting
    inner join active on adopting.month_on = active.month_on
)

select
    month_on,
    feature,
    user_count,
    account_count,
    active_user_count,
    active_account_count
from adoption
