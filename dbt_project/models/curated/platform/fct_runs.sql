-- One row per run.
with events as (
    select * from {{ ref('stg_platform__runs') }}
),

runs as (
    select
        run_id,
        max(job) as job,
        max(trigger) as trigger,
        max(case when event = 'started' and is_selection then 1 else 0 end) = 1 as is_selection,
        coalesce(min(case when event = 'started' then logged_at end), min(logged_at)) as started_at,
        max(case when event = 'ended' then logged_at end) as ended_at,
        max(case when event = 'ended' then outcome end) as outcome,
        max(case when event = 'ended' then seconds end) as seconds
    from events
    where run_id is not null
    group by run_id
),

-- One run writes at a time. So a run without an end, after which another one came to its end, was killed; until then
-- it may still be at work.
ends as (
    select
        runs.*,
        lead(runs.started_at) over (order by runs.started_at, runs.run_id) as next_started_at,
        max(case when runs.ended_at is not null then runs.started_at end)
            over (order by runs.started_at desc, runs.run_id desc) as last_started_to_end_at
    from runs
)

select
    run_id,
    job,
    trigger,
    is_selection,
    started_at,
    {{ utc_date('started_at') }} as started_on,
    case
        when ended_at is not null then ended_at
        when last_started_to_end_at > started_at then next_started_at
    end as ended_at,
    case
        when ended_at is not null then coalesce(outcome, 'failure')
        when last_started_to_end_at > started_at then 'killed'
        else 'running'
    end as outcome,
    cast(coalesce(
        seconds,
        case when ended_at is not null then cast({{ seconds_between('started_at', 'ended_at') }} as decimal(18, 6)) end
    ) as decimal(18, 6)) as seconds
from ends
