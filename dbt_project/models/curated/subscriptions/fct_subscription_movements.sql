-- One row per account and day whose closing MRR differs from the previous day's.
with versions as (
    select * from {{ ref('dim_subscriptions_history') }}
),

-- Only the version that a day closes with counts: ups and downs within a day cancel out.
closings as (
    select
        account_id,
        subscription_id,
        plan_id,
        seat_count,
        valid_from,
        {{ utc_date('valid_from') }} as closed_on,
        mrr_usd_amount
    from versions
    where
        {{ utc_date('valid_from') }} <= {{ last_day() }}
        and (valid_to is null or {{ utc_date('valid_to') }} > {{ utc_date('valid_from') }})
),

changes as (
    select
        *,
        mrr_usd_amount - coalesce(
            lag(mrr_usd_amount) over (partition by subscription_id order by closed_on),
            0
        ) as change_usd_amount,
        row_number() over (
            partition by account_id, closed_on
            order by valid_from desc, subscription_id desc
        ) as recency
    from closings
),

-- An account that leaves one subscription for another on the same day moved once.
account_days as (
    select
        account_id,
        closed_on as movement_on,
        max(case when recency = 1 then plan_id end) as plan_id,
        sum(change_usd_amount) as change_usd_amount
    from changes
    group by account_id, closed_on
    having sum(change_usd_amount) <> 0
),

balances as (
    select
        *,
        sum(change_usd_amount) over (
            partition by account_id
            order by movement_on
            rows between unbounded preceding and current row
        ) as closing_usd_amount,
        row_number() over (partition by account_id order by movement_on) as movement_number
    from account_days
),

movements as (
    select
        account_id,
        movement_on,
        plan_id,
        case
            when movement_number = 1 then 'new'
            when closing_usd_amount = change_usd_amount then 'reactivation'
            when closing_usd_amount = 0 then 'churn'
            when change_usd_amount > 0 then 'expansion'
            else 'contraction'
        end as kind,
        closing_usd_amount - change_usd_amount as opening_usd_amount,
        change_usd_amount,
        closing_usd_amount
    from balances
)

select
    {{ surrogate_key(['account_id', 'movement_on']) }} as movement_key,
    account_id,
    movement_on,
    kind,
    plan_id,
    cast(opening_usd_amount as decimal(18, 2)) as opening_mrr_usd_amount,
    cast(change_usd_amount as decimal(18, 2)) as change_mrr_usd_amount,
    cast(closing_usd_amount as decimal(18, 2)) as closing_mrr_usd_amount
from movements
