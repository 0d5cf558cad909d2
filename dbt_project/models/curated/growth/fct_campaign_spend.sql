-- One row per day, channel and campaign: what was spent, in its own currency and in USD.
with spend as (
    select * from {{ ref('stg_crm__campaign_spend') }}
),

rates as (
    select * from {{ ref('dim_exchange_rates') }}
),

converted as (
    select
        spend.*,
        {{ convert_currency('spend.amount', 'rates.usd_rate') }} as usd_amount
    from spend
    left join rates on spend.currency = rates.currency and spend.spend_on = rates.rate_on
)

select
    {{ surrogate_key(['spend_on', 'channel', 'campaign']) }} as campaign_spend_key,
    spend_on,
    channel,
    campaign,
    currency,
    amount,
    usd_amount,
    impression_count,
    click_count
from converted
