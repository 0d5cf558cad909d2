-- One row per check that counted and evaluation of its gate; checks on trial are not here.
{{ config(
    materialized='touched_partitions',
    partition_by='evaluated_on',
    sort_by=['evaluated_at'],
    touched_by=[{'model': 'stg_platform__checks'}],
) }}

with checks as (
    select * from {{ ref('stg_platform__checks') }}
    where {{ within_touched('logged_on') }}
)

select
    {{ surrogate_key(['event_id', 'check_id']) }} as check_result_key,
    event_id,
    check_id,
    logged_on as evaluated_on,
    logged_at as evaluated_at,
    dataset_key,
    run_id,
    check_type,
    check_name,
    outcome,
    outcome in ('pass', 'warn') as is_passed,
    outcome in ('pass', 'warn', 'fail') as is_evaluated,
    measured_value,
    threshold,
    column_name,
    message
from checks
where not is_observed
