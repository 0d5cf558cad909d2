-- One row per payment attempt in its latest version, in its own currency and in USD.
with payments as (
    select * from {{ ref('stg_billing__payments') }}
),

invoices as (
    select * from {{ ref('fct_invoices') }}
),

rates as (
    select * from {{ ref('dim_exchange_rates') }}
),

dated as (
    select
        *,
        {{ utc_date('attempted_at') }} as attempted_on
    from payments
),

-- The invoice may still be in quarantine while its payment has come: the money counts already.
converted as (
    select
        dated.*,
        invoices.account_id,
        {{ convert_currency('dated.amount', 'rates.usd_rate') }} as usd_amount
    from dated
    left join invoices on dated.invoice_id = invoices.invoice_id
    left join rates on dated.currency = rates.currency and dated.attempted_on = rates.rate_on
)

select
    payment_id,
    invoice_id,
    account_id,
    status,
    status = 'succeeded' as is_collected,
    method,
    attempted_at,
    attempted_on,
    currency,
    amount,
    usd_amount
from converted
