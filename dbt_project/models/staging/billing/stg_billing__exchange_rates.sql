-- One row per currency and day.
with deliveries as (
    select * from {{ source('billing', 'exchange_rates') }}
),

latest as (
    {{ deduplicate_latest('deliveries', ['currency', 'rate_on'], ['usd_rate desc']) }}
)

select
    currency,
    rate_on,
    usd_rate
from latest
