-- One row per month and channel: its leads, what became of them, and what the channel cost.
with leads as (
    select * from {{ ref('dim_leads') }}
),

trials as (
    select * from {{ ref('fct_trials') }}
),

movements as (
    select * from {{ ref('fct_subscription_movements') }}
),

spend as (
    select * from {{ ref('fct_campaign_spend') }}
),

trial_accounts as (
    select distinct account_id
    from trials
),

paying_accounts as (
    select distinct account_id
    from movements
),

facts as (
    select
        {{ month_start('leads.created_on') }} as month_on,
        leads.channel,
        1 as lead_count,
        case when leads.is_qualified then 1 else 0 end as qualified_count,
        case when leads.is_converted then 1 else 0 end as converted_count,
        case when leads.is_converted and trial_accounts.account_id is not null then 1 else 0 end
            as trial_count,
        case when leads.is_converted and paying_accounts.account_id is not null then 1 else 0 end
            as paid_count,
        cast(0 as decimal(18, 2)) as spend_usd_amount
    from leads
    left join trial_accounts on leads.account_id = trial_accounts.account_id
    left join paying_accounts on leads.account_id = paying_accounts.account_id
    union all
    select
        {{ month_start('spend_on') }} as month_on,
        channel,
        0 as lead_count,
        0 as qualified_count,
        0 as converted_count,
        0 as trial_count,
        0 as paid_count,
        usd_amount as spend_usd_amount
    from spend
),

months as (
    select
        month_on,
        channel,
        sum(lead_count) as lead_count,
        sum(qualified_count) as qualified_count,
        sum(converted_count) as converted_count,
        sum(trial_count) as trial_count,
        sum(paid_count) as paid_count,
        sum(spend_usd_amount) as spend_usd_amount
    from facts
    group by month_on, channel
)

select
    {{ surrogate_key(['month_on', 'channel']) }} as growth_month_key,
    month_on,
    channel,
    cast(lead_count as bigint) as lead_count,
    cast(qualified_count as bigint) as qualified_count,
    cast(converted_count as bigint) as converted_count,
    cast(trial_count as bigint) as trial_count,
    cast(paid_count as bigint) as paid_count,
    cast(spend_usd_amount as decimal(18, 2)) as spend_usd_amount
from months
