-- One row per dataset and deploy.
with events as (
    select * from {{ source('platform', 'datasets') }}
),

latest as (
    {{ deduplicate_latest('events', ['event_id'], ['logged_at']) }}
)

select
    event_id,
    logged_at,
    deploy_id,
    key as dataset_key,
    name as dataset_name,
    layer,
    nullif(source, '') as source,
    owner,
    tier,
    classification,
    coalesce(is_public, false) as is_public,
    coalesce(description_length, 0) as description_length,
    coalesce(documented_column_count, 0) as documented_column_count,
    coalesce(column_count, 0) as column_count,
    coalesce(check_count, 0) as check_count,
    coalesce(test_count, 0) as test_count,
    parents,
    ancestors,
    metrics,
    service_level
from latest
