-- One row per month and currency of the documents: what was invoiced, collected and refunded.
with invoices as (
    select * from {{ ref('fct_invoices') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

refunds as (
    select * from {{ ref('fct_refunds') }}
),

documents as (
    select
        issued_on as booked_on,
        currency,
        net_usd_amount as invoiced_usd_amount,
        tax_usd_amount,
        0 as collected_usd_amount,
        0 as refunded_usd_amount,
        1 as invoice_count
    from invoices
    where is_invoiced
    union all
    select
        attempted_on as booked_on,
        currency,
        0 as invoiced_usd_amount,
        0 as tax_usd_amount,
        usd_amount as collected_usd_amount,
        0 as refunded_usd_amount,
        0 as invoice_count
    from payments
    where is_collected
    union all
    select
        refunded_on as booked_on,
        currency,
        0 as invoiced_usd_amount,
        0 as tax_usd_amount,
        0 as collected_usd_amount,
        usd_amount as refunded_usd_amount,
        0 as invoice_count
    from refunds
),

months as (
    select
        {{ month_start('booked_on') }} as month_on,
        currency,
        sum(invoice_count) as invoice_count,
        sum(invoiced_usd_amount) as invoiced_usd_amount,
        sum(tax_usd_amount) as tax_usd_amount,
        sum(collected_usd_amount) as collected_usd_amount,
        sum(refunded_usd_amount) as refunded_usd_amount
    from documents
    group by {{ month_start('booked_on') }}, currency
)

select
    {{ surrogate_key(['month_on', 'currency']) }} as revenue_month_key,
    month_on,
    currency,
    cast(invoice_count as bigint) as invoice_count,
    cast(invoiced_usd_amount as decimal(18, 2)) as invoiced_usd_amount,
    cast(tax_usd_amount as decimal(18, 2)) as tax_usd_amount,
    cast(collected_usd_amount as decimal(18, 2)) as collected_usd_amount,
    cast(refunded_usd_amount as decimal(18, 2)) as refunded_usd_amount,
    cast(collected_usd_amount - refunded_usd_amount as decimal(18, 2)) as net_collected_usd_amount
from months
