-- One row per day that is over, from the first day of the history.
with days as (
    select day_on
    from {{ date_spine("'" ~ var('history_starts_on', '2025-01-01') ~ "'", last_day()) }} as spine
),

sessions as (
    select
        started_on,
        count(*) as session_count,
        sum(event_count) as event_count,
        sum(duration_seconds) as duration_seconds
    from {{ ref('fct_sessions') }}
    group by started_on
),

daily as (
    select
        days.day_on,
        coalesce(sessions.session_count, 0) as session_count,
        cast(coalesce(sessions.event_count, 0) as bigint) as event_count,
        cast(coalesce(sessions.duration_seconds, 0) as decimal(18, 3)) as duration_seconds
    from days
    left join sessions on days.day_on = sessions.started_on
)

select
    day_on,
    session_count,
    event_count,
    duration_seconds
from daily
