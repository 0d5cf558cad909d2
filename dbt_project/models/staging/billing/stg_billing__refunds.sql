-- One row per refund.
with deliveries as (
    select * from {{ source('billing', 'refunds') }}
),

latest as (
    {{ deduplicate_latest('deliveries', ['refund_id'], ['refunded_at desc']) }}
)

select
    refund_id,
    payment_id,
    amount,
    currency,
    reason,
    refunded_at
from latest
