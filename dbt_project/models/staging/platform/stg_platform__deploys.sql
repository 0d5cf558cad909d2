-- One row per deploy.
with events as (
    select * from {{ source('platform', 'deploys') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    deploy_id,
    fingerprint,
    commit as commit_hash,
    committed_at,
    subject,
    coalesce(is_fix, false) as is_fix,
    datasets_changed
from latest
