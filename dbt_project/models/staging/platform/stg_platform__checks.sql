-- One row per check and evaluation of its gate.
{{ config(
    materialized='touched_partitions',
    partition_by='logged_on',
    sort_by=['logged_at'],
    touched_by=[{'source': ['platform', 'gates'], 'partition': utc_date('logged_at')}],
) }}

with events as (
    select
        event_id,
        logged_at,
        key as dataset_key,
        run_id,
        checks
    from {{ source('platform', 'gates') }}
    where {{ touched(utc_date('logged_at')) }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
),

elements as (
    select
        event_id,
        logged_at,
        dataset_key,
        run_id,
        {{ json_object('element', ['check_id', 'type', 'name', 'outcome', 'value', 'threshold', 'column', 'message',
            'is_observed']) }} as result
    from latest
    {{ json_rows('checks', 'element') }}
)

select
    elements.event_id,
    {{ json_field('elements.result', 'check_id') }} as check_id,
    {{ utc_date('elements.logged_at') }} as logged_on,
    elements.logged_at,
    elements.dataset_key,
    elements.run_id,
    {{ json_field('elements.result', 'type') }} as check_type,
    {{ json_field('elements.result', 'name') }} as check_name,
    {{ json_field('elements.result', 'outcome') }} as outcome,
    {{ as_double(json_field('elements.result', 'value')) }} as measured_value,
    {{ json_field('elements.result', 'threshold') }} as threshold,
    {{ json_field('elements.result', 'column') }} as column_name,
    {{ json_field('elements.result', 'message') }} as message,
    coalesce({{ json_field('elements.result', 'is_observed') }} = 'true', false) as is_observed
from elements
