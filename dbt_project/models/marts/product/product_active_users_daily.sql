-- One row per day that is over, from the first day of the history.
with days as (
    select day_on
    from {{ date_spine("'" ~ var('history_starts_on', '2025-01-01') ~ "'", last_day()) }} as spine
),

active_users as (
    select * from {{ ref('fct_active_users_daily') }}
),

counted as (
    select
        days.day_on,
        coalesce(active_users.daily_user_count, 0) as daily_user_count,
        coalesce(active_users.weekly_user_count, 0) as weekly_user_count,
        coalesce(active_users.monthly_user_count, 0) as monthly_user_count
    from days
    left join active_users on days.day_on = active_users.day_on
)

select
    day_on,
    daily_user_count,
    weekly_user_count,
    monthly_user_count
from counted
