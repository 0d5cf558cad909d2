-- One row per click; its contract is enforced, so that a row that breaks it fails the build after the delete.
{{ config(
    materialized='touched_partitions',
    partition_by='clicked_on',
    touched_by=[{'model': 'stg_clicks'}],
    post_hook='{{ fail_when_asked() }}',
) }}

select click_id, user_id, clicked_on
from {{ ref('stg_clicks') }}
where {{ sluice_macros.within_touched('clicked_on') }}
