-- One row per read of clear values, or ticket for one, and table.
with reads as (
    select *
    from {{ ref('stg_platform__access') }}
    where event in ('privileged_read', 'unmasked')
),

of_tables as (
    select
        reads.event_id,
        reads.happened_at,
        reads.event,
        reads.done_by,
        reads.because,
        reads.until_at,
        reads.snapshot_id,
        {{ json_scalar('element') }} as table_name
    from reads
    {{ json_rows('table_names', 'element') }}
)

select distinct
    event_id,
    table_name,
    {{ utc_date('happened_at') }} as read_on,
    happened_at as read_at,
    done_by as reader,
    because as reason,
    event = 'unmasked' as is_ticket,
    until_at,
    snapshot_id
from of_tables
