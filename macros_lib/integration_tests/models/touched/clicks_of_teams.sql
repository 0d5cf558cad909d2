-- One row per team and day with clicks: rebuilt whole when the small seed of teams changes.
{{ config(
    materialized='touched_partitions',
    partition_by='clicked_on',
    touched_by=[{'model': 'stg_clicks'}, {'whole': 'activity'}],
) }}

with days as (
    select distinct clicked_on from {{ ref('stg_clicks') }} where {{ sluice_macros.within_touched('clicked_on') }}
),

teams as (
    select distinct team from {{ ref('activity') }}
)

select teams.team, days.clicked_on
from days
cross join teams
