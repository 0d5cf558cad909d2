-- One row per month with spend or paying accounts: what a new paying account cost and is worth.
with spend as (
    select * from {{ ref('fct_campaign_spend') }}
),

movements as (
    select * from {{ ref('fct_subscription_movements') }}
),

retention as (
    select * from {{ ref('finance_mrr_retention_monthly') }}
),

facts as (
    select
        {{ month_start('spend_on') }} as month_on,
        usd_amount as spend_usd_amount,
        0 as new_account_count,
        0 as paying_account_count,
        cast(0 as decimal(18, 2)) as mrr_usd_amount,
        0 as opening_account_count,
        0 as churned_account_count
    from spend
    union all
    select
        {{ month_start('movement_on') }} as month_on,
        cast(0 as decimal(18, 2)) as spend_usd_amount,
        1 as new_account_count,
        0 as paying_account_count,
        cast(0 as decimal(18, 2)) as mrr_usd_amount,
        0 as opening_account_count,
        0 as churned_account_count
    from movements
    where kind = 'new'
    union all
    select
        month_on,
        cast(0 as decimal(18, 2)) as spend_usd_amount,
        0 as new_account_count,
        closing_account_count as paying_account_count,
        closing_mrr_usd_amount as mrr_usd_amount,
        opening_account_count,
        churned_account_count
    from retention
),

months as (
    select
        month_on,
        sum(spend_usd_amount) as spend_usd_amount,
        sum(new_account_count) as new_account_count,
        sum(paying_account_count) as paying_account_count,
        sum(mrr_usd_amount) as mrr_usd_amount,
        sum(opening_account_count) as opening_account_count,
        sum(churned_account_count) as churned_account_count
    from facts
    group by month_on
),

-- Each ratio is formed from whole sums, so that no rounded ratio goes into another one.
-- 0.80 is the gross margin that finance plans with; a higher one flatters LTV and payback.
ratios as (
    select
        *,
        {{ safe_divide('spend_usd_amount', 'new_account_count') }} as cac,
        {{ safe_divide('mrr_usd_amount', 'paying_account_count') }} as arpa,
        {{ safe_divide('churned_account_count', 'opening_account_count') }} as logo_churn,
        {{ safe_divide(
            'mrr_usd_amount * 0.80 * opening_account_count',
            'paying_account_count * churned_account_count',
        ) }} as ltv,
        {{ safe_divide(
            'spend_usd_amount * paying_account_count',
            'new_account_count * mrr_usd_amount * 0.80',
        ) }} as payback
    from months
)

select
    month_on,
    cast(spend_usd_amount as decimal(18, 2)) as spend_usd_amount,
    cast(new_account_count as bigint) as new_paying_account_count,
    cast(paying_account_count as bigint) as paying_account_count,
    cast(mrr_usd_amount as decimal(18, 2)) as mrr_usd_amount,
    cast(opening_account_count as bigint) as opening_account_count,
    cast(churned_account_count as bigint) as churned_account_count,
    cast(logo_churn as decimal(18, 6)) as logo_churn_rate,
    cast(cac as decimal(18, 2)) as acquisition_cost_usd_amount,
    cast(arpa as decimal(18, 2)) as revenue_per_account_usd_amount,
    cast(ltv as decimal(18, 2)) as lifetime_value_usd_amount,
    cast(payback as decimal(18, 2)) as payback_month_count
from ratios
