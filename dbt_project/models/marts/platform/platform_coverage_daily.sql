-- One row per day and dataset that the project had at the day's end: what is known of it and what is checked.
with days as (
    select * from {{ ref('dim_log_days') }}
),

versions as (
    select * from {{ ref('dim_datasets_history') }}
)

select
    {{ surrogate_key(['days.day_on', 'versions.dataset_key']) }} as coverage_daily_key,
    days.day_on,
    versions.dataset_key,
    versions.layer,
    versions.owner,
    cast(versions.tier as bigint) as tier,
    versions.column_count,
    versions.documented_column_count,
    versions.check_count,
    versions.test_count,
    versions.check_count > 0 as is_checked,
    versions.description_length > 0 as is_described
from days
inner join versions
    on
        days.ends_at >= versions.valid_from
        and (versions.valid_to is null or days.ends_at < versions.valid_to)
