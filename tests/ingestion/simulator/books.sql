-- name: mrr_movements_daily
with monthly as (
    select
        s.*, c.account_id,
        case when s.status in ('active', 'past_due') then
            round(s.seat_count * s.unit_amount * p.mrr_usd_rate
                / case when s.billing_interval = 'year' then 12 else 1 end * 100)::bigint
        else 0 end as cents
    from subscription_changes as s
    inner join customers as c on s.customer_id = c.customer_id
    inner join '{seeds}/currencies.csv' as p on s.currency = p.currency
),
closings as (
    select account_id, subscription_id, changed_at::date as day_on, cents
    from monthly
    qualify row_number() over (
        partition by subscription_id, changed_at::date order by changed_at desc, change_id desc
    ) = 1
),
deltas as (
    select
        account_id, day_on,
        cents - lag(cents, 1, 0) over (partition by subscription_id order by day_on) as delta
    from closings
),
days as (
    select account_id, day_on, sum(delta) as delta from deltas group by all having sum(delta) <> 0
),
running as (
    select *, sum(delta) over (partition by account_id order by day_on) as closing from days
)
select
    account_id, day_on as movement_on,
    case
        when closing = delta and row_number() over (partition by account_id order by day_on) = 1
            then 'new'
        when closing = delta then 'reactivation'
        when closing = 0 then 'churn'
        when delta > 0 then 'expansion'
        else 'contraction'
    end as kind,
    delta::bigint as amount_cents
from running

-- name: mrr_monthly
with months as (
    select unnest(generate_series(date '2025-01-01', date '{last_day}', interval 1 month))::date
        as month_on
),
moves as (
    select *, date_trunc('month', movement_on)::date as month_on
    from read_parquet('{books}/mrr_movements_daily.parquet')
),
grid as (
    select m.month_on, a.account_id from months as m cross join
        (select distinct account_id from moves) as a
),
summed as (
    select
        g.month_on, g.account_id, count(v.kind) as movement_count,
        coalesce(sum(amount_cents) filter (where kind = 'new'), 0)::bigint as new_cents,
        coalesce(sum(amount_cents) filter (where kind = 'expansion'), 0)::bigint as expansion_cents,
        coalesce(sum(amount_cents) filter (where kind = 'contraction'), 0)::bigint
            as contraction_cents,
        coalesce(sum(amount_cents) filter (where kind = 'churn'), 0)::bigint as churn_cents,
        coalesce(sum(amount_cents) filter (where kind = 'reactivation'), 0)::bigint
            as reactivation_cents,
        coalesce(sum(amount_cents), 0)::bigint as net
    from grid as g left join moves as v using (month_on, account_id) group by all
),
run as (
    select
        *, sum(net) over (partition by account_id order by month_on)::bigint as closing_cents
    from summed
)
select
    month_on, account_id, (closing_cents - net)::bigint as opening_cents, new_cents,
    expansion_cents, contraction_cents, churn_cents, reactivation_cents, closing_cents
from run
where movement_count > 0 or closing_cents <> net

-- name: revenue_monthly
with facts as (
    select 'invoiced' as what, currency, issued_at::date as on_day, net_amount as amount
    from invoices where status <> 'void'
    union all
    select 'tax', currency, issued_at::date, tax_amount from invoices where status <> 'void'
    union all
    select 'collected', currency, attempted_at::date, amount
    from payments where status = 'succeeded'
    union all
    select 'refunded', currency, refunded_at::date, amount from refunds
),
usd as (
    select f.*, (round(f.amount * r.usd_rate, 2) * 100)::bigint as cents
    from facts as f inner join rates as r on f.currency = r.currency and f.on_day = r.rate_on
)
select
    date_trunc('month', on_day)::date as month_on, currency,
    coalesce(sum(cents) filter (where what = 'invoiced'), 0)::bigint as invoiced_cents,
    coalesce(sum(cents) filter (where what = 'tax'), 0)::bigint as tax_cents,
    coalesce(sum(cents) filter (where what = 'collected'), 0)::bigint as collected_cents,
    coalesce(sum(cents) filter (where what = 'refunded'), 0)::bigint as refunded_cents
from usd group by all

-- name: active_users_daily
with days as (
    select unnest(generate_series(date '2025-01-01', date '{last_day}', interval 1 day))::date
        as day_on
),
active as (select distinct user_id, day_on from activity)
select
    d.day_on,
    count(distinct a.user_id) filter (where a.day_on = d.day_on) as daily_count,
    count(distinct a.user_id) filter (where a.day_on > d.day_on - 7) as weekly_count,
    count(distinct a.user_id) as monthly_count
from days as d
left join active as a on a.day_on between d.day_on - 27 and d.day_on
group by all

-- name: sessions_daily
with days as (
    select unnest(generate_series(date '2025-01-01', date '{last_day}', interval 1 day))::date
        as day_on
),
marked as (
    select
        *, coalesce(true_at - lag(true_at) over ordered > interval 30 minute, true) as starts
    from activity window ordered as (partition by user_id order by true_at, event_id)
),
numbered as (
    select
        *, count(*) filter (where starts) over (partition by user_id order by true_at, event_id)
            as number
    from marked
),
sessions as (
    select user_id, number, min(true_at)::date as day_on, count(*) as events
    from numbered group by all
)
select d.day_on, count(s.user_id) as session_count, coalesce(sum(s.events), 0)::bigint
    as event_count
from days as d left join sessions as s using (day_on) group by all

-- name: funnel_weekly
with step_1 as (select account_id, created_at, created_at as reached from accounts),
step_2 as (
    select s.account_id, s.created_at, min(e.true_at) as reached
    from step_1 as s inner join events as e on e.account_id = s.account_id
        and e.event_name = 'teammate_invited' and e.true_at >= s.reached
        and e.true_at <= s.created_at + interval 672 hour group by all
),
step_3 as (
    select s.account_id, s.created_at, min(e.true_at) as reached
    from step_2 as s inner join events as e on e.account_id = s.account_id
        and e.event_name = 'integration_connected' and e.true_at >= s.reached
        and e.true_at <= s.created_at + interval 672 hour group by all
),
step_4 as (
    select s.account_id, s.created_at, min(e.true_at) as reached
    from step_3 as s inner join events as e on e.account_id = s.account_id
        and e.event_name = 'report_created' and e.true_at >= s.reached
        and e.true_at <= s.created_at + interval 672 hour group by all
),
step_5 as (
    select s.account_id, s.created_at, min(e.true_at) as reached
    from step_4 as s inner join events as e on e.account_id = s.account_id
        and e.event_name = 'report_shared' and e.true_at >= s.reached
        and e.true_at <= s.created_at + interval 672 hour group by all
),
all_steps as (
    select 'signed_up' as step, * from step_1
    union all select 'teammate_invited', * from step_2
    union all select 'integration_connected', * from step_3
    union all select 'report_created', * from step_4
    union all select 'report_shared', * from step_5
)
select w.week_on, s.step, count(a.account_id) as account_count
from (select distinct date_trunc('week', created_at)::date as week_on from accounts) as w
cross join (select distinct step from all_steps) as s
left join all_steps as a
    on date_trunc('week', a.created_at)::date = w.week_on and a.step = s.step
group by all

-- name: activation_weekly
select
    date_trunc('week', a.created_at)::date as week_on, count(*) as signed_up_count,
    count(*) filter (where exists (
        select 1 from events as e
        where e.account_id = a.account_id and e.event_name = 'report_created'
            and e.true_at between a.created_at and a.created_at + interval 336 hour
    )) as activated_count
from accounts as a group by all

-- name: retention_weekly
with weeks as (select distinct user_id, date_trunc('week', day_on)::date as week_on from activity),
cohorts as (select user_id, min(week_on) as cohort_week_on from weeks group by all)
select
    cohort_week_on, ((week_on - cohort_week_on) // 7)::integer as week_number,
    count(*) as user_count
from weeks inner join cohorts using (user_id) group by all

-- name: feature_adoption_monthly
with monthly as (select *, date_trunc('month', day_on)::date as month_on from activity),
actives as (
    select month_on, count(distinct user_id) as users, count(distinct account_id) as accounts
    from monthly group by all
)
select
    m.month_on, m.feature, count(distinct m.user_id) as user_count,
    count(distinct m.account_id) as account_count, a.users as active_user_count,
    a.accounts as active_account_count
from monthly as m inner join actives as a using (month_on)
where m.feature is not null group by all

-- name: growth_monthly
with trials as (
    select c.account_id
    from subscription_changes as s inner join customers as c using (customer_id)
    qualify row_number() over (partition by subscription_id order by changed_at, change_id) = 1
        and s.status = 'trialing'
),
paid as (select distinct account_id from read_parquet('{books}/mrr_movements_daily.parquet')),
by_lead as (
    select
        date_trunc('month', created_at)::date as month_on, channel, count(*) as lead_count,
        count(*) filter (where status in ('qualified', 'converted')) as qualified_count,
        count(*) filter (where status = 'converted') as converted_count,
        count(*) filter (
            where status = 'converted' and account_id in (select account_id from trials)
        ) as trial_count,
        count(*) filter (
            where status = 'converted' and account_id in (select account_id from paid)
        ) as paid_count
    from leads group by all
),
by_spend as (
    select
        date_trunc('month', s.spend_on)::date as month_on, s.channel,
        sum((round(s.amount * r.usd_rate, 2) * 100)::bigint)::bigint as spend_cents
    from spend as s inner join rates as r on s.currency = r.currency and s.spend_on = r.rate_on
    group by all
)
select
    month_on, channel, coalesce(lead_count, 0) as lead_count,
    coalesce(qualified_count, 0) as qualified_count,
    coalesce(converted_count, 0) as converted_count, coalesce(trial_count, 0) as trial_count,
    coalesce(paid_count, 0) as paid_count, coalesce(spend_cents, 0) as spend_cents
from by_lead full join by_spend using (month_on, channel)

-- name: trials_monthly
with firsts as (
    select subscription_id, started_at from subscription_changes
    qualify row_number() over (partition by subscription_id order by changed_at, change_id) = 1
        and status = 'trialing'
)
select
    date_trunc('month', started_at)::date as month_on, count(*) as trial_count,
    count(*) filter (where subscription_id in (
        select subscription_id from subscription_changes where status = 'active'
    )) as converted_count
from firsts group by all

-- name: accounts_history
select
    account_id, changed_at at time zone 'UTC' as valid_from,
    lead(changed_at) over ordered at time zone 'UTC' as valid_to,
    coalesce(name, lag(name) over ordered) as name,
    coalesce(industry, lag(industry) over ordered) as industry,
    coalesce(country, lag(country) over ordered) as country,
    coalesce(employee_count, lag(employee_count) over ordered) as employee_count,
    op = 'delete' as is_deleted
from account_changes
window ordered as (partition by account_id order by changed_at, change_id)
