-- One row per open invoice that is not fully paid at the end of the last whole day.
with invoices as (
    select * from {{ ref('fct_invoices') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

rates as (
    select * from {{ ref('dim_exchange_rates') }}
),

paid as (
    select
        invoice_id,
        sum(amount) as paid_amount
    from payments
    where is_collected
    group by invoice_id
),

-- Uncollectible invoices are losses and void ones never were claims: neither is a receivable.
outstanding as (
    select
        invoices.*,
        coalesce(paid.paid_amount, 0) as paid_amount,
        cast(invoices.total_amount - coalesce(paid.paid_amount, 0) as decimal(18, 2))
            as outstanding_amount,
        {{ days_between('invoices.due_on', last_day()) }} as overdue_day_count
    from invoices
    left join paid on invoices.invoice_id = paid.invoice_id
    where invoices.status = 'open'
),

-- A claim keeps the rate of the day on which it was invoiced.
valued as (
    select
        outstanding.*,
        {{ convert_currency('outstanding.outstanding_amount', 'rates.usd_rate') }}
            as outstanding_usd_amount
    from outstanding
    left join rates on outstanding.currency = rates.currency and outstanding.issued_on = rates.rate_on
    where outstanding.outstanding_amount > 0
)

select
    invoice_id,
    account_id,
    customer_id,
    issued_on,
    due_on,
    cast(case when overdue_day_count > 0 then overdue_day_count else 0 end as bigint)
        as overdue_day_count,
    case
        when overdue_day_count is null or overdue_day_count <= 0 then 'not_due'
        when overdue_day_count <= 30 then '1_to_30'
        when overdue_day_count <= 60 then '31_to_60'
        when overdue_day_count <= 90 then '61_to_90'
        else 'over_90'
    end as age_bucket,
    currency,
    total_amount,
    cast(paid_amount as decimal(18, 2)) as paid_amount,
    outstanding_amount,
    outstanding_usd_amount
from valued
