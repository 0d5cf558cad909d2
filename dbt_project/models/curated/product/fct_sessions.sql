-- One row per session: a user's activity events without a pause of more than 30 minutes between two of them.
--
-- A session belongs to the day of its first event and, being shorter than 24 hours, ends on that day or the next.
-- An event on day D can therefore lengthen a session that began on D-1, begin or join sessions of D, and take over one
-- that began shortly after midnight on D+1: these three days are rebuilt. Whether an event of D-1 begins a session is
-- known from D-2, and the end of a session of D+1 from D+2: these five days are read.
-- depends_on: {{ ref('event_taxonomy') }} (through fct_product_events: when it changes, all is rebuilt)
{{ config(
    materialized='touched_partitions',
    partition_by='started_on',
    sort_by=['started_at'],
    touched_by=[
        {'model': 'stg_events__product_events', 'reach_before': 1, 'reach_after': 1},
        {'whole': 'event_taxonomy'},
    ],
) }}

with activity as (
    select
        event_id,
        event_name,
        user_id,
        account_id,
        platform,
        occurred_on,
        occurred_at
    from {{ ref('fct_product_events') }}
    where
        is_activity
        and {{ within_touched('occurred_on', before=1, after=1) }}
),

preceded as (
    select
        *,
        lag(occurred_at) over (partition by user_id order by occurred_at, event_id) as previous_at
    from activity
),

opened as (
    select
        *,
        case
            when previous_at is null or occurred_at > {{ add_seconds('previous_at', 1800) }} then 1
            else 0
        end as opens_session
    from preceded
),

numbered as (
    select
        *,
        sum(opens_session) over (
            partition by user_id
            order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as session_number
    from opened
),

sessions as (
    select
        user_id,
        max(case when opens_session = 1 then event_id end) as session_id,
        max(case when opens_session = 1 then account_id end) as account_id,
        max(case when opens_session = 1 then platform end) as platform,
        max(case when opens_session = 1 then event_name end) as first_event_name,
        min(occurred_on) as started_on,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as event_count
    from numbered
    group by user_id, session_number
)

select
    session_id,
    user_id,
    account_id,
    started_on,
    started_at,
    ended_at,
    cast({{ seconds_between('started_at', 'ended_at') }} as decimal(18, 3)) as duration_seconds,
    event_count,
    platform,
    first_event_name
from sessions
