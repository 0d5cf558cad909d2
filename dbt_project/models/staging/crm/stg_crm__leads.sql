-- One row per lead, in its latest version.
with deliveries as (
    select * from {{ source('crm', 'leads') }}
),

latest as (
    {{ deduplicate_latest('deliveries', ['lead_id'], ['updated_at desc', 'status desc']) }}
)

select
    lead_id,
    email,
    company as company_name,
    channel,
    country,
    status,
    account_id,
    created_at,
    updated_at
from latest
