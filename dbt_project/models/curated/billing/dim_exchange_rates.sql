-- One row per currency and day: what one unit of the currency was worth in USD.
with rates as (
    select * from {{ ref('stg_billing__exchange_rates') }}
)

select
    {{ surrogate_key(['currency', 'rate_on']) }} as exchange_rate_key,
    currency,
    rate_on,
    usd_rate
from rates
