-- One row per dataset and indicator (freshness, completeness, pass_rate): the last 28 days of the log.
{%- set indicators = {
    'freshness': ['observed_seconds', 'fresh_seconds'],
    'completeness': ['received_row_count', 'loaded_row_count'],
    'pass_rate': ['check_count', 'passed_check_count'],
} %}

with levels as (
    select * from {{ ref('platform_service_levels_daily') }}
),

bounds as (
    select max(day_on) as last_day_on
    from levels
),

indicators as (
    {% for name, columns in indicators.items() %}
        select
            day_on,
            dataset_key,
            layer,
            owner,
            tier,
            '{{ name }}' as indicator,
            {{ name }}_objective as objective,
            {{ as_double(columns[0]) }} as counted,
            {{ as_double(columns[0]) }} - {{ as_double(columns[1]) }} as missed
        from levels
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

recent as (
    select
        indicators.*,
        {{ days_between('indicators.day_on', 'bounds.last_day_on') }} as days_ago
    from indicators
    cross join bounds
),

summed as (
    select
        dataset_key,
        indicator,
        max(layer) as layer,
        max(owner) as owner,
        max(tier) as tier,
        max(objective) as objective,
        sum(counted) as counted,
        sum(missed) as missed,
    {%- for days in [1, 3, 7] %}
        sum(case when days_ago < {{ days }} then counted end) as counted_{{ days }}d,
        sum(case when days_ago < {{ days }} then missed end) as missed_{{ days }}d
        {{- ',' if not loop.last }}
    {%- endfor %}
    from recent
    where days_ago < 28
    group by dataset_key, indicator
    having sum(counted) > 0
),

spent as (
    select
        *,
        {{ as_double('1') }} - objective as budget,
        -- A promise without a budget is spent by the first miss.
        case
            when objective < 1 then {{ as_double(
                'cast(' ~ safe_divide('missed', '(counted * (1 - objective))') ~ ' as decimal(18, 6))'
            ) }}
            when missed > 0 then 1
            else 0
        end as spent_share
    from summed
)

select
    {{ surrogate_key(['dataset_key', 'indicator']) }} as error_budget_key,
    dataset_key,
    indicator,
    layer,
    owner,
    tier,
    objective,
    {{ as_double('1') }} - {{ safe_divide('missed', 'counted') }} as attained,
    budget,
    {{ as_double('spent_share') }} as spent_share,
    {%- for days in [1, 3, 7] %}
        {{ safe_divide('missed_' ~ days ~ 'd', '(counted_' ~ days ~ 'd * budget)') }} as burn_rate_{{ days }}d,
    {%- endfor %}
    spent_share >= 1 as is_spent
from spent
