-- One row per deploy.
with deploys as (
    select
        *,
        lead(logged_at) over (order by logged_at, event_id) as next_deployed_at
    from {{ ref('stg_platform__deploys') }}
),

incidents as (
    select * from {{ ref('fct_incidents') }}
),

-- A deploy answers for a day, or until the next one if that is sooner.
caused as (
    select
        deploys.deploy_id,
        count(*) as incident_count
    from deploys
    inner join incidents
        on
            deploys.logged_at <= incidents.opened_at
            and {{ add_hours('deploys.logged_at', 24) }} > incidents.opened_at
            and (deploys.next_deployed_at is null or deploys.next_deployed_at > incidents.opened_at)
    group by deploys.deploy_id
),

changed as (
    select
        deploy_id,
        count(*) as changed_dataset_count
    from deploys
    {{ json_rows('datasets_changed', 'element') }}
    group by deploy_id
)

select
    deploys.deploy_id,
    {{ utc_date('deploys.logged_at') }} as deployed_on,
    deploys.logged_at as deployed_at,
    deploys.commit_hash,
    deploys.subject,
    deploys.committed_at,
    case
        when deploys.committed_at <= deploys.logged_at
            then cast({{ seconds_between('deploys.committed_at', 'deploys.logged_at') }} as decimal(18, 3))
    end as lead_seconds,
    deploys.is_fix,
    coalesce(changed.changed_dataset_count, 0) as changed_dataset_count,
    coalesce(caused.incident_count, 0) as incident_count,
    coalesce(caused.incident_count, 0) > 0 as is_failed
from deploys
left join caused on deploys.deploy_id = caused.deploy_id
left join changed on deploys.deploy_id = changed.deploy_id
