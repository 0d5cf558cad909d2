-- One row per day: the clicks of this and the next day (reaches back one day).
{{ config(
    materialized='touched_partitions',
    partition_by='counted_on',
    touched_by=[{'model': 'stg_clicks', 'reach_before': 1, 'reach_after': 0}],
) }}

with clicks as (
    select clicked_on from {{ ref('stg_clicks') }}
    where {{ sluice_macros.within_touched('clicked_on', after=1) }}
),

counted as (
    select clicked_on as counted_on, 1 as own_count from clicks
    union all
    select {{ sluice_macros.add_days('clicked_on', -1) }}, 0 from clicks
)

select counted_on, cast(sum(own_count) as bigint) as own_count, count(*) as both_count
from counted
group by counted_on
