-- One row per day and gated dataset of the project, from the first day on which its gate was asked.
with days as (
    select * from {{ ref('dim_log_days') }}
),

datasets as (
    select * from {{ ref('dim_datasets') }}
    where layer <> 'seeds'
),

verdicts as (
    select * from {{ ref('fct_gate_verdicts') }}
),

checks as (
    select * from {{ ref('platform_checks_daily') }}
),

loads as (
    select * from {{ ref('stg_platform__loads') }}
),

ancestors as (
    select * from {{ ref('dim_dataset_ancestors') }}
    where valid_to is null
),

first_asked as (
    select
        dataset_key,
        min(judged_at) as first_asked_at
    from verdicts
    group by dataset_key
),

grid as (
    select
        datasets.*,
        days.day_on,
        days.ends_at,
        case when first_asked.first_asked_at > days.starts_at then first_asked.first_asked_at else days.starts_at end
            as starts_at
    from datasets
    inner join first_asked on datasets.dataset_key = first_asked.dataset_key
    inner join days on first_asked.first_asked_at < days.ends_at
),

-- A pass says that the dataset is as new as promised, for as long as it promises; the next pass says it anew, and a
-- freshness check that fails takes it back.
renewals as (
    select
        verdicts.dataset_key,
        verdicts.judged_at as fresh_from,
        verdicts.is_passed,
        {{ add_hours('verdicts.judged_at', 'datasets.freshness_hours') }} as promised_until,
        lead(verdicts.judged_at) over (
            partition by verdicts.dataset_key order by verdicts.judged_at, verdicts.event_id
        ) as next_at
    from verdicts
    inner join datasets on verdicts.dataset_key = datasets.dataset_key
    where verdicts.is_passed or verdicts.kind = 'freshness'
),

fresh_spans as (
    select
        dataset_key,
        fresh_from,
        case when next_at < promised_until then next_at else promised_until end as fresh_until
    from renewals
    where is_passed
),

fresh as (
    select
        grid.dataset_key,
        grid.day_on,
        sum({{ seconds_between(
            'case when fresh_spans.fresh_from > grid.starts_at then fresh_spans.fresh_from else grid.starts_at end',
            'case when fresh_spans.fresh_until < grid.ends_at then fresh_spans.fresh_until else grid.ends_at end',
        ) }}) as fresh_seconds
    from grid
    inner join fresh_spans
        on
            grid.dataset_key = fresh_spans.dataset_key
            and grid.ends_at > fresh_spans.fresh_from
            and grid.starts_at < fresh_spans.fresh_until
    group by grid.dataset_key, grid.day_on
),

entities as (
    select
        dataset_key,
        dataset_key as entity_key
    from datasets
    where layer = 'raw'
    union all
    select
        dataset_key,
        ancestor_key as entity_key
    from ancestors
    where split_part(ancestor_key, '.', 1) = 'raw'
),

received as (
    select
        entities.dataset_key,
        {{ utc_date('loads.logged_at') }} as day_on,
        sum(loads.row_count) as loaded_row_count,
        sum(loads.row_count + loads.quarantined_count) as received_row_count
    from entities
    inner join loads on entities.entity_key = 'raw.' || loads.source || '.' || loads.entity
    where loads.outcome = 'loaded'
    group by entities.dataset_key, {{ utc_date('loads.logged_at') }}
),

measured as (
    select
        grid.*,
        -- Exact, or a sum of spans is a hair longer than the whole.
        cast({{ seconds_between('grid.starts_at', 'grid.ends_at') }} as decimal(18, 3)) as observed_seconds,
        cast(coalesce(fresh.fresh_seconds, 0) as decimal(18, 3)) as fresh_seconds,
        coalesce(received.received_row_count, 0) as received_row_count,
        coalesce(received.loaded_row_count, 0) as loaded_row_count,
        coalesce(checks.check_count, 0) as check_count_of_day,
        coalesce(checks.passed_count, 0) as passed_count
    from grid
    left join fresh on grid.dataset_key = fresh.dataset_key and grid.day_on = fresh.day_on
    left join received on grid.dataset_key = received.dataset_key and grid.day_on = received.day_on
    left join checks on grid.dataset_key = checks.dataset_key and grid.day_on = checks.day_on
)

select
    {{ surrogate_key(['day_on', 'dataset_key']) }} as service_level_daily_key,
    day_on,
    dataset_key,
    layer,
    owner,
    cast(tier as bigint) as tier,
    freshness_objective,
    observed_seconds,
    fresh_seconds,
    {{ safe_divide('fresh_seconds', 'observed_seconds') }} as freshness_attained,
    completeness_objective,
    cast(received_row_count as bigint) as received_row_count,
    cast(loaded_row_count as bigint) as loaded_row_count,
    {{ safe_divide('loaded_row_count', 'received_row_count') }} as completeness_attained,
    pass_rate_objective,
    cast(check_count_of_day as bigint) as check_count,
    cast(passed_count as bigint) as passed_check_count,
    {{ safe_divide('passed_count', 'check_count_of_day') }} as pass_rate_attained
from measured
