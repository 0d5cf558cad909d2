-- One row per day from the first to the newest event of the platform log.
{%- set kinds = ['runs', 'loads', 'models', 'gates', 'publishes', 'queries', 'deploys', 'incident_facts'] %}

with days as (
    -- Wide enough for any log: days outside it are cut off below.
    select day_on
    from {{ date_spine("'2024-01-01'", "'2039-12-31'") }} as spine
),

-- “Now” is the newest thing that the log knows of, so that reading it again gives the same rows.
moments as (
    {% for kind in kinds %}
        select
            min(logged_at) as first_at,
            max(logged_at) as last_at
        from {{ ref('stg_platform__' ~ kind) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

bounds as (
    select
        min(first_at) as first_at,
        max(last_at) as last_at
    from moments
),

within as (
    select
        days.day_on,
        {{ day_start('days.day_on') }} as starts_at,
        {{ day_start(add_days('days.day_on', 1)) }} as next_starts_at,
        bounds.last_at
    from days
    inner join bounds
        on
            days.day_on >= {{ utc_date('bounds.first_at') }}
            and days.day_on <= {{ utc_date('bounds.last_at') }}
)

select
    day_on,
    starts_at,
    case when next_starts_at > last_at then last_at else next_starts_at end as ends_at,
    next_starts_at > last_at as is_current
from within
