-- One row per click, however often it was delivered.
{{ config(
    materialized='touched_partitions',
    partition_by='clicked_on',
    sort_by=['clicked_at', 'click_id'],
    touched_by=[{'source': ['clicks', 'clicks'], 'partition': sluice_macros.utc_date('clicked_at')}],
) }}

with clicks as (
    select click_id, user_id, clicked_at
    from {{ source('clicks', 'clicks') }}
    where {{ sluice_macros.touched(sluice_macros.utc_date('clicked_at')) }}
)

select distinct
    click_id,
    user_id,
    clicked_at,
    {{ sluice_macros.utc_date('clicked_at') }} as clicked_on
from clicks
