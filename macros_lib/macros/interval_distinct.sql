{#- Rolling distinct counts by the interval method: being active on a day makes an entity count
    from that day on for a window of days, until its next activity takes over. So each activity
    is +1 on its day and -1 where its interval ends, and a running sum of the changes is the count:
    no self-join over the window. One row per day of the spine (and group), one column per window.
    `relation` may repeat an entity and day; `windows` maps a column to its days. -#}
{% macro interval_distinct(relation, entity, day, windows, start, end, group_by=[]) %}
{%- set groups = [group_by] if group_by is string else group_by -%}
{%- set group_list = groups | map('string') | join(', ') ~ (', ' if groups else '') -%}
{%- set first = 'cast(' ~ start ~ ' as date)' -%}
{%- set last = 'cast(' ~ end ~ ' as date)' -%}
with activity as (
    select distinct {{ group_list }}{{ entity }} as entity, {{ day }} as active_on
    from {{ relation }}
    where {{ day }} <= {{ last }}
),

intervals as (
    select
        {{ group_list }}active_on,
        coalesce(
            lead(active_on) over (partition by {{ group_list }}entity order by active_on),
            cast('9999-12-31' as date)
        ) as next_active_on
    from activity
),

changes as (
    select
        {{ group_list }}active_on as day_on
        {%- for name in windows %},
        1 as {{ name }}
        {%- endfor %}
    from intervals
    {%- for name, days in windows.items() %}
    union all
    select
        {{ group_list }}least({{ adapter.dispatch('add_days', 'sluice_macros')('active_on', days) }}, next_active_on)
        {%- for other in windows %},
        {{ -1 if other == name else 0 }}
        {%- endfor %}
    from intervals
    {%- endfor %}
    union all
    select
        {{ group_list }}day_on
        {%- for name in windows %},
        0
        {%- endfor %}
    from {{ adapter.dispatch('date_spine', 'sluice_macros')(first, last, 'day', 'day_on') }} as spine
    {%- if groups %}
    cross join (select distinct {{ groups | join(', ') }} from intervals) as every_group
    {%- endif %}
),

changes_daily as (
    select
        {{ group_list }}day_on
        {%- for name in windows %},
        sum({{ name }}) as {{ name }}
        {%- endfor %}
    from changes
    where day_on <= {{ last }}
    group by {{ group_list }}day_on
),

running as (
    select
        {{ group_list }}day_on
        {%- for name in windows %},
        cast(sum({{ name }}) over (
            {%- if groups %}partition by {{ groups | join(', ') }} {% endif %}order by day_on
        ) as bigint) as {{ name }}
        {%- endfor %}
    from changes_daily
)

select *
from running
where day_on >= {{ first }}
{%- endmacro %}
