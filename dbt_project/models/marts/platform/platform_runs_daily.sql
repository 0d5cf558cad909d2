-- One row per day and job: the runs that started on it.
with runs as (
    select * from {{ ref('fct_runs') }}
)

select
    {{ surrogate_key(['started_on', 'job']) }} as runs_daily_key,
    started_on as day_on,
    coalesce(job, 'unknown') as job,
    count(*) as run_count,
    cast(sum(case when outcome <> 'running' then 1 else 0 end) as bigint) as finished_count,
    cast(sum(case when outcome = 'success' then 1 else 0 end) as bigint) as successful_count,
    cast(sum(case when outcome = 'failure' then 1 else 0 end) as bigint) as failed_count,
    cast(sum(case when outcome = 'killed' then 1 else 0 end) as bigint) as killed_count,
    cast(coalesce(sum(seconds), 0) as decimal(18, 3)) as run_seconds
from runs
group by started_on, job
