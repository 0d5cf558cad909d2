-- One row per day and dataset: the checks that its gate asked for on it.
with results as (
    select * from {{ ref('fct_check_results') }}
)

select
    {{ surrogate_key(['evaluated_on', 'dataset_key']) }} as checks_daily_key,
    evaluated_on as day_on,
    dataset_key,
    split_part(dataset_key, '.', 1) as layer,
    count(*) as check_count,
    cast(sum(case when is_passed then 1 else 0 end) as bigint) as passed_count,
    cast(sum(case when outcome = 'warn' then 1 else 0 end) as bigint) as warned_count,
    cast(sum(case when outcome = 'fail' then 1 else 0 end) as bigint) as failed_count,
    cast(sum(case when is_evaluated then 0 else 1 end) as bigint) as not_evaluated_count
from results
group by evaluated_on, dataset_key
