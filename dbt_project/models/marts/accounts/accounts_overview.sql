-- One row per account: who it is, where it stands at the end of the last whole day, what it is worth.
with accounts as (
    select * from {{ ref('dim_accounts') }}
),

plans as (
    select * from {{ ref('dim_plans') }}
),

versions as (
    select * from {{ ref('dim_subscriptions_history') }}
),

movements as (
    select * from {{ ref('fct_subscription_movements') }}
),

trials as (
    select * from {{ ref('fct_trials') }}
),

memberships as (
    select * from {{ ref('dim_memberships') }}
),

users as (
    select * from {{ ref('dim_users') }}
),

invoices as (
    select * from {{ ref('fct_invoices') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

refunds as (
    select * from {{ ref('fct_refunds') }}
),

receivables as (
    select * from {{ ref('finance_receivables_current') }}
),

activity as (
    select * from {{ ref('fct_user_activity_daily') }}
),

latest_versions as (
    {{ deduplicate_latest(
        'versions where ' ~ utc_date('valid_from') ~ ' <= ' ~ last_day(),
        ['account_id'],
        ['valid_from desc', 'subscription_id desc'],
    ) }}
),

latest_movements as (
    {{ deduplicate_latest('movements', ['account_id'], ['movement_on desc']) }}
),

first_movements as (
    select
        account_id,
        min(movement_on) as paying_from_on
    from movements
    group by account_id
),

account_trials as (
    select
        account_id,
        min(started_on) as trial_started_on
    from trials
    group by account_id
),

account_members as (
    select
        memberships.account_id,
        count(distinct memberships.user_id) as member_count
    from memberships
    inner join users on memberships.user_id = users.user_id
    where not memberships.is_deleted and not users.is_deleted
    group by memberships.account_id
),

account_activity as (
    select
        account_id,
        max(active_on) as last_active_on,
        count(distinct case when active_on > {{ add_days(last_day(), -28) }} then user_id end)
            as active_user_count,
        sum(case when active_on > {{ add_days(last_day(), -28) }} then event_count else 0 end)
            as event_count
    from activity
    where active_on <= {{ last_day() }}
    group by account_id
),

money as (
    select
        account_id,
        net_usd_amount as invoiced_usd_amount,
        0 as collected_usd_amount,
        0 as refunded_usd_amount,
        0 as outstanding_usd_amount
    from invoices
    where is_invoiced
    union all
    select
        account_id,
        0 as invoiced_usd_amount,
        usd_amount as collected_usd_amount,
        0 as refunded_usd_amount,
        0 as outstanding_usd_amount
    from payments
    where is_collected
    union all
    select
        account_id,
        0 as invoiced_usd_amount,
        0 as collected_usd_amount,
        usd_amount as refunded_usd_amount,
        0 as outstanding_usd_amount
    from refunds
    union all
    select
        account_id,
        0 as invoiced_usd_amount,
        0 as collected_usd_amount,
        0 as refunded_usd_amount,
        outstanding_usd_amount
    from receivables
),

account_money as (
    select
        account_id,
        sum(invoiced_usd_amount) as invoiced_usd_amount,
        sum(collected_usd_amount) as collected_usd_amount,
        sum(refunded_usd_amount) as refunded_usd_amount,
        sum(outstanding_usd_amount) as outstanding_usd_amount
    from money
    group by account_id
),

described as (
    select
        accounts.*,
        case
            when accounts.is_deleted then 'deleted'
            when latest_movements.closing_mrr_usd_amount > 0 then 'paying'
            when latest_versions.status = 'trialing' then 'trialing'
            when latest_movements.account_id is not null then 'churned'
            else 'not_paying'
        end as lifecycle,
        latest_versions.status as subscription_status,
        latest_versions.plan_id,
        plans.plan_name,
        coalesce(latest_movements.closing_mrr_usd_amount, 0) as mrr_usd_amount,
        case when latest_versions.is_paying then latest_versions.seat_count else 0 end
            as paying_seat_count,
        account_trials.trial_started_on,
        first_movements.paying_from_on,
        case when latest_movements.kind = 'churn' then latest_movements.movement_on end
            as churned_on,
        coalesce(account_members.member_count, 0) as member_count,
        account_activity.last_active_on,
        coalesce(account_activity.active_user_count, 0) as active_user_count,
        coalesce(account_activity.event_count, 0) as event_count,
        coalesce(account_money.invoiced_usd_amount, 0) as invoiced_usd_amount,
        coalesce(account_money.collected_usd_amount, 0) as collected_usd_amount,
        coalesce(account_money.refunded_usd_amount, 0) as refunded_usd_amount,
        coalesce(account_money.outstanding_usd_amount, 0) as outstanding_usd_amount
    from accounts
    left join latest_versions on accounts.account_id = latest_versions.account_id
    left join plans on latest_versions.plan_id = plans.plan_id
    left join latest_movements on accounts.account_id = latest_movements.account_id
    left join first_movements on accounts.account_id = first_movements.account_id
    left join account_trials on accounts.account_id = account_trials.account_id
    left join account_members on accounts.account_id = account_members.account_id
    left join account_activity on accounts.account_id = account_activity.account_id
    left join account_money on accounts.account_id = account_money.account_id
)

select
    account_id,
    account_name,
    industry,
    country,
    region,
    employee_count,
    channel,
    created_on,
    lifecycle,
    subscription_status,
    plan_id,
    plan_name,
    cast(mrr_usd_amount as decimal(18, 2)) as mrr_usd_amount,
    cast(coalesce(paying_seat_count, 0) as bigint) as paying_seat_count,
    trial_started_on,
    paying_from_on,
    churned_on,
    cast(member_count as bigint) as member_count,
    last_active_on,
    cast(active_user_count as bigint) as active_user_count,
    cast(event_count as bigint) as event_count,
    cast(invoiced_usd_amount as decimal(18, 2)) as invoiced_usd_amount,
    cast(collected_usd_amount as decimal(18, 2)) as collected_usd_amount,
    cast(refunded_usd_amount as decimal(18, 2)) as refunded_usd_amount,
    cast(outstanding_usd_amount as decimal(18, 2)) as outstanding_usd_amount
from described
