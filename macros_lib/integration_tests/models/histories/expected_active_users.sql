-- One row per day and team with the same counts the long way: looking back from every day.
with days as (
    select day_on
    from {{ sluice_macros.date_spine("cast('2025-01-02' as date)", "cast('2025-02-03' as date)") }} as spine
),

teams as (
    select distinct team as team, team as wanted from {{ ref('activity') }}
    union all
    select distinct 'all', team from {{ ref('activity') }}
)

select
    teams.team,
    days.day_on
    {%- for name, length in {'daily_count': 1, 'weekly_count': 7, 'monthly_count': 28}.items() %},
    count(distinct case
        when activity.active_on > {{ sluice_macros.add_days('days.day_on', -length) }} then activity.user_id
    end) as {{ name }}
    {%- endfor %}
from days
cross join teams
left join {{ ref('activity') }} as activity
    on activity.team = teams.wanted and activity.active_on <= days.day_on
group by teams.team, days.day_on
