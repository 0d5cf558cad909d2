-- One row per invoice, in its latest version.
with deliveries as (
    select * from {{ source('billing', 'invoices') }}
),

latest as (
    {{ deduplicate_latest('deliveries', ['invoice_id'], ['updated_at desc', 'status desc']) }}
)

select
    invoice_id,
    customer_id,
    subscription_id,
    currency,
    status,
    issued_at,
    due_on,
    net_amount,
    tax_amount,
    total_amount,
    lines,
    updated_at
from latest
