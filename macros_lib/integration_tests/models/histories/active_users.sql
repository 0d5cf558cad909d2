-- One row per day and team with the users active in the last 1, 7 and 28 days; team "all" counts each user once.
{%- set windows = {'daily_count': 1, 'weekly_count': 7, 'monthly_count': 28} %}
{%- set first = "cast('2025-01-02' as date)" %}
{%- set last = "cast('2025-02-03' as date)" %}
with teams as (
    {{ sluice_macros.interval_distinct(ref('activity'), 'user_id', 'active_on', windows, first, last, group_by=['team']) }}
),

everyone as (
    {{ sluice_macros.interval_distinct(ref('activity'), 'user_id', 'active_on', windows, first, last) }}
)

select team, day_on, daily_count, weekly_count, monthly_count from teams
union all
select 'all', day_on, daily_count, weekly_count, monthly_count from everyone
