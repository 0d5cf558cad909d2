-- One row per lead, in its latest version, without anything personal.
with leads as (
    select * from {{ ref('stg_crm__leads') }}
)

select
    lead_id,
    company_name,
    channel,
    country,
    status,
    status in ('qualified', 'converted') as is_qualified,
    status = 'converted' as is_converted,
    account_id,
    created_at,
    {{ utc_date('created_at') }} as created_on,
    updated_at
from leads
