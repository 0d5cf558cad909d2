-- One row per trial: a subscription whose first change has the status trialing.
with versions as (
    select * from {{ ref('dim_subscriptions_history') }}
),

numbered as (
    select
        *,
        row_number() over (partition by subscription_id order by valid_from) as version_number
    from versions
),

subscriptions as (
    select
        subscription_id,
        max(case when version_number = 1 then account_id end) as account_id,
        max(case when version_number = 1 then plan_id end) as plan_id,
        max(case when version_number = 1 then status end) as first_status,
        max(case when version_number = 1 then seat_count end) as seat_count,
        max(case when version_number = 1 then started_at end) as started_at,
        max(case when version_number = 1 then trial_ends_at end) as trial_ends_at,
        min(case when status = 'active' then valid_from end) as converted_at,
        max(case when is_current then status end) as current_status
    from numbered
    group by subscription_id
)

select
    subscription_id,
    account_id,
    plan_id,
    seat_count,
    started_at,
    {{ utc_date('started_at') }} as started_on,
    trial_ends_at,
    converted_at,
    {{ utc_date('converted_at') }} as converted_on,
    case
        when converted_at is not null then 'converted'
        when current_status = 'trialing' then 'running'
        else 'lost'
    end as outcome,
    converted_at is not null as is_converted
from subscriptions
where first_status = 'trialing'
