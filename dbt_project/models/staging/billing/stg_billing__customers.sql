-- One row per change of a paying customer, as the payment provider logged it.
with changes as (
    select * from {{ source('billing', 'customers') }}
),

latest as (
    {{ deduplicate_latest('changes', ['change_id'], ['changed_at desc']) }}
)

select
    change_id,
    op,
    changed_at,
    customer_id,
    account_id,
    currency,
    country,
    billing_email,
    created_at
from latest
