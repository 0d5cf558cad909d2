-- One row per invoice in its latest version, in its own currency and in USD.
with invoices as (
    select * from {{ ref('stg_billing__invoices') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

rates as (
    select * from {{ ref('dim_exchange_rates') }}
),

dated as (
    select
        *,
        {{ utc_date('issued_at') }} as issued_on
    from invoices
),

converted as (
    select
        dated.*,
        customers.account_id,
        {{ convert_currency('dated.net_amount', 'rates.usd_rate') }} as net_usd_amount,
        {{ convert_currency('dated.tax_amount', 'rates.usd_rate') }} as tax_usd_amount
    from dated
    left join customers on dated.customer_id = customers.customer_id
    left join rates on dated.currency = rates.currency and dated.issued_on = rates.rate_on
)

select
    invoice_id,
    account_id,
    customer_id,
    subscription_id,
    status,
    status <> 'void' as is_invoiced,
    issued_at,
    issued_on,
    due_on,
    currency,
    net_amount,
    tax_amount,
    total_amount,
    net_usd_amount,
    tax_usd_amount,
    -- Not converted by itself: net and tax, each rounded, must add up to it.
    cast(net_usd_amount + tax_usd_amount as decimal(18, 2)) as total_usd_amount
from converted
