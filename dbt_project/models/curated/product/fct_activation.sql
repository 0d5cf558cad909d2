-- One row per account: when it signed up, reached each step of the funnel, and was activated.
--
-- A step is reached at the account's first such event at or after the previous step and within 28 days (672 hours,
-- inclusive) after sign-up, and only if all steps before it were reached. Activation asks for a report only, within
-- 14 days (336 hours, inclusive), whatever the other steps. An account that signed up on day D can be reached by events
-- of D to D+28. Sign-ups come from the accounts' own history: a closed gate of billing or CRM stops nothing here.
{{ config(
    materialized='touched_partitions',
    partition_by='signed_up_on',
    touched_by=[
        {'source': ['app', 'accounts'], 'partition': utc_date('created_at')},
        {'model': 'stg_events__product_events', 'reach_before': 28},
    ],
) }}

with accounts as (
    select
        account_id,
        created_at as signed_up_at,
        {{ utc_date('created_at') }} as signed_up_on
    from {{ ref('dim_accounts_history') }}
    where
        is_current
        and {{ within_touched(utc_date('created_at')) }}
),

milestones as (
    select
        events.account_id,
        events.event_name,
        events.occurred_at,
        accounts.signed_up_at
    from {{ ref('stg_events__product_events') }} as events
    inner join accounts on events.account_id = accounts.account_id
    where
        events.event_name in ('teammate_invited', 'integration_connected', 'report_created', 'report_shared')
        and {{ within_touched('events.occurred_on', after=28) }}
        and events.occurred_at >= accounts.signed_up_at
        and events.occurred_at <= {{ add_hours('accounts.signed_up_at', 672) }}
),

activated as (
    select
        account_id,
        min(occurred_at) as activated_at
    from milestones
    where
        event_name = 'report_created'
        and occurred_at <= {{ add_hours('signed_up_at', 336) }}
    group by account_id
),

teammate_invited as (
    select
        account_id,
        min(occurred_at) as reached_at
    from milestones
    where event_name = 'teammate_invited'
    group by account_id
),

integration_connected as (
    select
        milestones.account_id,
        min(milestones.occurred_at) as reached_at
    from milestones
    inner join teammate_invited as previous on milestones.account_id = previous.account_id
    where
        milestones.event_name = 'integration_connected'
        and milestones.occurred_at >= previous.reached_at
    group by milestones.account_id
),

report_created as (
    select
        milestones.account_id,
        min(milestones.occurred_at) as reached_at
    from milestones
    inner join integration_connected as previous on milestones.account_id = previous.account_id
    where
        milestones.event_name = 'report_created'
        and milestones.occurred_at >= previous.reached_at
    group by milestones.account_id
),

report_shared as (
    select
        milestones.account_id,
        min(milestones.occurred_at) as reached_at
    from milestones
    inner join report_created as previous on milestones.account_id = previous.account_id
    where
        milestones.event_name = 'report_shared'
        and milestones.occurred_at >= previous.reached_at
    group by milestones.account_id
),

journeys as (
    select
        accounts.account_id,
        accounts.signed_up_on,
        accounts.signed_up_at,
        teammate_invited.reached_at as teammate_invited_at,
        integration_connected.reached_at as integration_connected_at,
        report_created.reached_at as report_created_at,
        report_shared.reached_at as report_shared_at,
        activated.activated_at,
        activated.activated_at is not null as is_activated
    from accounts
    left join teammate_invited on accounts.account_id = teammate_invited.account_id
    left join integration_connected on accounts.account_id = integration_connected.account_id
    left join report_created on accounts.account_id = report_created.account_id
    left join report_shared on accounts.account_id = report_shared.account_id
    left join activated on accounts.account_id = activated.account_id
)

select
    account_id,
    signed_up_on,
    signed_up_at,
    teammate_invited_at,
    integration_connected_at,
    report_created_at,
    report_shared_at,
    activated_at,
    is_activated
from journeys
