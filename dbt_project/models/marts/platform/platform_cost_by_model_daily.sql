-- One row per day and model that was built on it.
with builds as (
    select * from {{ ref('stg_platform__models') }}
),

daily as (
    select
        {{ utc_date('logged_at') }} as day_on,
        dataset_key,
        count(*) as build_count,
        count(distinct run_id) as run_count,
        sum(case when status = 'success' then 0 else 1 end) as failed_count,
        sum(seconds) as build_seconds,
        max(seconds) as longest_seconds,
        max(row_count) as row_count
    from builds
    where status <> 'skipped'
    group by {{ utc_date('logged_at') }}, dataset_key
)

select
    {{ surrogate_key(['day_on', 'dataset_key']) }} as cost_daily_key,
    day_on,
    dataset_key,
    split_part(dataset_key, '.', 1) as layer,
    build_count,
    run_count,
    cast(failed_count as bigint) as failed_count,
    cast(coalesce(build_seconds, 0) as decimal(18, 3)) as build_seconds,
    cast(coalesce(longest_seconds, 0) as decimal(18, 3)) as longest_seconds,
    row_count
from daily
