-- One row per day and plan, from the first day with MRR to the last whole day.
with versions as (
    select * from {{ ref('dim_subscriptions_history') }}
),

plans as (
    select * from {{ ref('dim_plans') }}
),

closings as (
    select
        subscription_id,
        {{ utc_date('valid_from') }} as closed_on,
        plan_id,
        mrr_usd_amount,
        case when mrr_usd_amount > 0 then seat_count else 0 end as seat_count,
        case when mrr_usd_amount > 0 then 1 else 0 end as account_count
    from versions
    where
        {{ utc_date('valid_from') }} <= {{ last_day() }}
        and (valid_to is null or {{ utc_date('valid_to') }} > {{ utc_date('valid_from') }})
),

followed as (
    select
        *,
        lead(closed_on) over (partition by subscription_id order by closed_on) as next_closed_on
    from closings
),

-- What a version adds on the day it begins to count, it takes away on the day the next one does.
changes as (
    select
        closed_on as day_on,
        plan_id,
        mrr_usd_amount,
        seat_count,
        account_count
    from followed
    where mrr_usd_amount > 0
    union all
    select
        next_closed_on as day_on,
        plan_id,
        -mrr_usd_amount as mrr_usd_amount,
        -seat_count as seat_count,
        -account_count as account_count
    from followed
    where mrr_usd_amount > 0 and next_closed_on is not null
),

day_changes as (
    select
        day_on,
        plan_id,
        sum(mrr_usd_amount) as mrr_usd_amount,
        sum(seat_count) as seat_count,
        sum(account_count) as account_count
    from changes
    group by day_on, plan_id
),

days as (
    select *
    from {{ date_spine('(select min(day_on) from day_changes)', last_day(), 'day') }} as spine
),

balances as (
    select
        days.day_on,
        plans.plan_id,
        plans.plan_name,
        sum(coalesce(day_changes.mrr_usd_amount, 0)) over (
            partition by plans.plan_id
            order by days.day_on
            rows between unbounded preceding and current row
        ) as mrr_usd_amount,
        sum(coalesce(day_changes.seat_count, 0)) over (
            partition by plans.plan_id
            order by days.day_on
            rows between unbounded preceding and current row
        ) as seat_count,
        sum(coalesce(day_changes.account_count, 0)) over (
            partition by plans.plan_id
            order by days.day_on
            rows between unbounded preceding and current row
        ) as account_count
    from days
    cross join plans
    left join day_changes
        on days.day_on = day_changes.day_on and plans.plan_id = day_changes.plan_id
)

select
    {{ surrogate_key(['day_on', 'plan_id']) }} as mrr_daily_key,
    day_on,
    plan_id,
    plan_name,
    cast(mrr_usd_amount as decimal(18, 2)) as mrr_usd_amount,
    cast(seat_count as bigint) as paying_seat_count,
    cast(account_count as bigint) as paying_account_count
from balances
