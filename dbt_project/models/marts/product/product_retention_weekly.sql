-- One row per cohort (week of its users' first activity) and week since then in which one of them was active.
with user_weeks as (
    select distinct
        user_id,
        {{ week_start('active_on') }} as week_on
    from {{ ref('fct_user_activity_daily') }}
),

placed as (
    select
        user_id,
        week_on,
        min(week_on) over (partition by user_id) as cohort_week_on
    from user_weeks
),

cohorts as (
    select
        cohort_week_on,
        cast({{ days_between('cohort_week_on', 'week_on') }} / 7 as integer) as week_number,
        count(*) as user_count
    from placed
    group by cohort_week_on, week_on
),

retained as (
    select
        cohort_week_on,
        week_number,
        user_count,
        max(user_count) over (partition by cohort_week_on) as cohort_user_count
    from cohorts
)

select
    cohort_week_on,
    week_number,
    user_count,
    cohort_user_count
from retained
