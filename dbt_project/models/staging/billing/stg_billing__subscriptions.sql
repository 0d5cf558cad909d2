-- One row per change of a subscription, as the payment provider logged it.
with changes as (
    select * from {{ source('billing', 'subscriptions') }}
),

latest as (
    {{ deduplicate_latest('changes', ['change_id'], ['changed_at desc']) }}
)

select
    change_id,
    op,
    changed_at,
    subscription_id,
    customer_id,
    plan_id,
    status,
    seat_count,
    billing_interval,
    unit_amount,
    currency,
    started_at,
    trial_ends_at,
    canceled_at
from latest
