-- One row per product event, at its true time, however often and in whatever order it was delivered.
{%- set true_at = clock_corrected('occurred_at', by_wrong='sent_at', by_right='received_at') %}
{{ config(
    materialized='touched_partitions',
    partition_by='occurred_on',
    sort_by=['occurred_at'],
    touched_by=[{'source': ['events', 'events'], 'partition': utc_date(true_at)}],
) }}

with deliveries as (
    select
        event_id,
        event_name,
        account_id,
        user_id,
        occurred_at,
        sent_at,
        received_at,
        context,
        properties
    from {{ source('events', 'events') }}
    where {{ touched(utc_date(true_at)) }}
),

-- One delivery in a hundred is a copy: finding these and ranking only them costs half of ranking all.
repeated as (
    select event_id
    from deliveries
    group by event_id
    having count(*) > 1
),

unrepeated as (
    select deliveries.*
    from deliveries
    left join repeated on deliveries.event_id = repeated.event_id
    where repeated.event_id is null
),

copies as (
    select deliveries.*
    from deliveries
    inner join repeated on deliveries.event_id = repeated.event_id
),

-- Copies say the same; should a source break that promise, the order of arrival still decides nothing.
one_copy as (
    {{ deduplicate_latest(
        'copies',
        partition_by='event_id',
        order_by='received_at, sent_at, occurred_at, event_name, account_id, user_id, '
            ~ anonymise_hash('context') ~ ', cast(properties as ' ~ dbt.type_string() ~ ')',
    ) }}
),

delivered as (
    select * from unrepeated
    union all
    select * from one_copy
),

parsed as (
    select
        event_id,
        event_name,
        account_id,
        user_id,
        {{ true_at }} as true_at,
        received_at,
        sent_at <> received_at as is_clock_corrected,
        {{ json_object('context', ['platform', 'app_version', 'locale']) }} as context,
        {{ json_object('properties', ['feature', 'duration_ms', 'items']) }} as properties
    from delivered
)

select
    parsed.event_id,
    parsed.event_name,
    parsed.account_id,
    parsed.user_id,
    {{ utc_date('parsed.true_at') }} as occurred_on,
    parsed.true_at as occurred_at,
    parsed.received_at,
    parsed.is_clock_corrected,
    {{ json_field('parsed.context', 'platform') }} as platform,
    {{ json_field('parsed.context', 'app_version') }} as app_version,
    {{ json_field('parsed.context', 'locale') }} as locale,
    {{ json_field('parsed.properties', 'feature') }} as feature,
    cast({{ json_field('parsed.properties', 'duration_ms') }} as bigint) as duration_ms,
    cast({{ json_field('parsed.properties', 'items') }} as bigint) as item_count
from parsed
