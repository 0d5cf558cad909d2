-- One row per refund, in its own currency and in USD.
with refunds as (
    select * from {{ ref('stg_billing__refunds') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

rates as (
    select * from {{ ref('dim_exchange_rates') }}
),

dated as (
    select
        *,
        {{ utc_date('refunded_at') }} as refunded_on
    from refunds
),

-- The payment may still be in quarantine while its refund has come: the money counts already.
converted as (
    select
        dated.*,
        payments.invoice_id,
        payments.account_id,
        {{ convert_currency('dated.amount', 'rates.usd_rate') }} as usd_amount
    from dated
    left join payments on dated.payment_id = payments.payment_id
    left join rates on dated.currency = rates.currency and dated.refunded_on = rates.rate_on
)

select
    refund_id,
    payment_id,
    invoice_id,
    account_id,
    reason,
    refunded_at,
    refunded_on,
    currency,
    amount,
    usd_amount
from converted
