-- One row per day on which at least one user was active or had been within the 27 days before.
--
-- Activity on day D counts in the windows of D to D+27, whether these days have come or not: the rows follow from the
-- events alone, and the mart shows those of days that are over.
{{ config(
    materialized='touched_partitions',
    partition_by='day_on',
    touched_by=[{'model': 'fct_user_activity_daily', 'reach_after': 27}],
) }}

with activity as (
    select
        user_id,
        active_on
    from {{ ref('fct_user_activity_daily') }}
    where {{ within_touched('active_on', before=27) }}
),

rolling as (
    {{ interval_distinct(
        'activity',
        entity='user_id',
        day='active_on',
        windows={'daily_user_count': 1, 'weekly_user_count': 7, 'monthly_user_count': 28},
        start='(select min(active_on) from activity)',
        end='(select max(' ~ add_days('active_on', 27) ~ ') from activity)',
    ) }}
)

select
    day_on,
    daily_user_count,
    weekly_user_count,
    monthly_user_count
from rolling
where monthly_user_count > 0
