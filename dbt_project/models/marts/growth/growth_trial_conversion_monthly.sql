-- One row per month in which a trial started.
with trials as (
    select * from {{ ref('fct_trials') }}
),

months as (
    select
        {{ month_start('started_on') }} as month_on,
        count(*) as trial_count,
        sum(case when outcome = 'converted' then 1 else 0 end) as converted_count,
        sum(case when outcome = 'lost' then 1 else 0 end) as lost_count,
        sum(case when outcome = 'running' then 1 else 0 end) as running_count
    from trials
    group by {{ month_start('started_on') }}
)

select
    month_on,
    cast(trial_count as bigint) as trial_count,
    cast(converted_count as bigint) as converted_count,
    cast(lost_count as bigint) as lost_count,
    cast(running_count as bigint) as running_count,
    cast({{ safe_divide('converted_count', 'trial_count') }} as decimal(18, 6)) as conversion_rate
from months
