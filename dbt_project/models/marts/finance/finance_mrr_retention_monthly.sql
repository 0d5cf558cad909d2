-- One row per month in which at least one account began or ended with MRR.
with account_months as (
    select * from {{ ref('finance_mrr_movements_monthly') }}
),

months as (
    select
        month_on,
        sum(case when opening_mrr_usd_amount > 0 then 1 else 0 end) as opening_account_count,
        sum(
            case when opening_mrr_usd_amount > 0 and closing_mrr_usd_amount = 0 then 1 else 0 end
        ) as churned_account_count,
        sum(case when closing_mrr_usd_amount > 0 then 1 else 0 end) as closing_account_count,
        sum(opening_mrr_usd_amount) as opening_mrr_usd_amount,
        sum(case when opening_mrr_usd_amount > 0 then closing_mrr_usd_amount else 0 end)
            as retained_mrr_usd_amount,
        sum(
            case
                when closing_mrr_usd_amount < opening_mrr_usd_amount then closing_mrr_usd_amount
                else opening_mrr_usd_amount
            end
        ) as capped_mrr_usd_amount,
        sum(closing_mrr_usd_amount) as closing_mrr_usd_amount
    from account_months
    group by month_on
)

select
    month_on,
    cast(opening_account_count as bigint) as opening_account_count,
    cast(churned_account_count as bigint) as churned_account_count,
    cast(closing_account_count as bigint) as closing_account_count,
    cast(opening_mrr_usd_amount as decimal(18, 2)) as opening_mrr_usd_amount,
    cast(retained_mrr_usd_amount as decimal(18, 2)) as retained_mrr_usd_amount,
    cast(capped_mrr_usd_amount as decimal(18, 2)) as capped_mrr_usd_amount,
    cast(opening_mrr_usd_amount - capped_mrr_usd_amount as decimal(18, 2))
        as lost_mrr_usd_amount,
    cast(closing_mrr_usd_amount as decimal(18, 2)) as closing_mrr_usd_amount,
    cast({{ safe_divide('retained_mrr_usd_amount', 'opening_mrr_usd_amount') }} as decimal(18, 6))
        as net_revenue_retention,
    cast({{ safe_divide('capped_mrr_usd_amount', 'opening_mrr_usd_amount') }} as decimal(18, 6))
        as gross_revenue_retention,
    cast({{ safe_divide('churned_account_count', 'opening_account_count') }} as decimal(18, 6))
        as logo_churn_rate,
    cast(
        {{ safe_divide('opening_mrr_usd_amount - capped_mrr_usd_amount', 'opening_mrr_usd_amount') }}
        as decimal(18, 6)
    ) as revenue_churn_rate
from months
