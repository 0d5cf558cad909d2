-- One row per payment attempt, in its latest version.
with deliveries as (
    select * from {{ source('billing', 'payments') }}
),

latest as (
    {{ deduplicate_latest('deliveries', ['payment_id'], ['updated_at desc', 'status desc']) }}
)

select
    payment_id,
    invoice_id,
    amount,
    currency,
    status,
    method,
    attempted_at,
    updated_at
from latest
