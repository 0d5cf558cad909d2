-- One row per subscription and version: what it was, and its MRR, from one change to the next.
with changes as (
    select * from {{ ref('stg_billing__subscriptions') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

currencies as (
    select * from {{ ref('currencies') }}
),

versions as (
    {{ scd2_from_change_log(
        'changes',
        key='subscription_id',
        attributes=[
            'customer_id', 'plan_id', 'status', 'seat_count', 'billing_interval', 'unit_amount',
            'currency', 'started_at', 'trial_ends_at', 'canceled_at',
        ],
    ) }}
),

-- A deleted subscription would keep its last image: it pays nothing all the same.
paying as (
    select
        *,
        status in ('active', 'past_due') and not is_deleted as is_paying
    from versions
),

valued as (
    select
        paying.*,
        customers.account_id,
        -- Yearly prices divide by 12 exactly; a price that did not would be rounded once, here,
        -- and never per seat.
        case
            when not paying.is_paying then 0
            when paying.billing_interval = 'year'
                then round(paying.seat_count * paying.unit_amount / 12, 2)
            else paying.seat_count * paying.unit_amount
        end as mrr_amount,
        cast(currencies.mrr_usd_rate as decimal(18, 6)) as mrr_usd_rate
    from paying
    left join customers on paying.customer_id = customers.customer_id
    left join currencies on paying.currency = currencies.currency
)

select
    subscription_id,
    account_id,
    customer_id,
    plan_id,
    status,
    is_paying,
    seat_count,
    billing_interval,
    unit_amount,
    currency,
    cast(mrr_amount as decimal(18, 2)) as mrr_amount,
    {{ convert_currency('cast(mrr_amount as decimal(18, 2))', 'mrr_usd_rate') }} as mrr_usd_amount,
    started_at,
    trial_ends_at,
    canceled_at,
    valid_from,
    valid_to,
    is_current
from valued
