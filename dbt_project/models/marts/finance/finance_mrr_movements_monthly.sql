-- One row per account and month in which it had MRR or a movement.
with movements as (
    select * from {{ ref('fct_subscription_movements') }}
),

month_movements as (
    select
        account_id,
        {{ month_start('movement_on') }} as month_on,
        sum(case when kind = 'new' then change_mrr_usd_amount else 0 end) as new_usd_amount,
        sum(case when kind = 'expansion' then change_mrr_usd_amount else 0 end)
            as expansion_usd_amount,
        sum(case when kind = 'contraction' then change_mrr_usd_amount else 0 end)
            as contraction_usd_amount,
        sum(case when kind = 'churn' then change_mrr_usd_amount else 0 end) as churn_usd_amount,
        sum(case when kind = 'reactivation' then change_mrr_usd_amount else 0 end)
            as reactivation_usd_amount,
        sum(change_mrr_usd_amount) as change_usd_amount
    from movements
    group by account_id, {{ month_start('movement_on') }}
),

account_spans as (
    select
        account_id,
        min(month_on) as first_month_on
    from month_movements
    group by account_id
),

months as (
    select *
    from {{ date_spine('(select min(first_month_on) from account_spans)', last_day(), 'month') }}
        as spine
),

account_months as (
    select
        account_spans.account_id,
        months.month_on
    from account_spans
    inner join months on account_spans.first_month_on <= months.month_on
),

balances as (
    select
        account_months.account_id,
        account_months.month_on,
        coalesce(month_movements.new_usd_amount, 0) as new_usd_amount,
        coalesce(month_movements.expansion_usd_amount, 0) as expansion_usd_amount,
        coalesce(month_movements.contraction_usd_amount, 0) as contraction_usd_amount,
        coalesce(month_movements.churn_usd_amount, 0) as churn_usd_amount,
        coalesce(month_movements.reactivation_usd_amount, 0) as reactivation_usd_amount,
        coalesce(month_movements.change_usd_amount, 0) as change_usd_amount,
        month_movements.account_id is not null as has_movement,
        sum(coalesce(month_movements.change_usd_amount, 0)) over (
            partition by account_months.account_id
            order by account_months.month_on
            rows between unbounded preceding and current row
        ) as closing_usd_amount
    from account_months
    left join month_movements
        on
            account_months.account_id = month_movements.account_id
            and account_months.month_on = month_movements.month_on
),

account_balances as (
    select
        *,
        closing_usd_amount - change_usd_amount as opening_usd_amount
    from balances
    where has_movement or closing_usd_amount <> 0
)

select
    {{ surrogate_key(['account_id', 'month_on']) }} as mrr_month_key,
    month_on,
    account_id,
    cast(opening_usd_amount as decimal(18, 2)) as opening_mrr_usd_amount,
    cast(new_usd_amount as decimal(18, 2)) as new_mrr_usd_amount,
    cast(expansion_usd_amount as decimal(18, 2)) as expansion_mrr_usd_amount,
    cast(contraction_usd_amount as decimal(18, 2)) as contraction_mrr_usd_amount,
    cast(churn_usd_amount as decimal(18, 2)) as churn_mrr_usd_amount,
    cast(reactivation_usd_amount as decimal(18, 2)) as reactivation_mrr_usd_amount,
    cast(closing_usd_amount as decimal(18, 2)) as closing_mrr_usd_amount
from account_balances
