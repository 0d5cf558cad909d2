-- One row per incident.
with incidents as (
    select * from {{ ref('fct_incidents') }}
),

incident_datasets as (
    select * from {{ ref('fct_incident_datasets') }}
),

versions as (
    select * from {{ ref('dim_datasets_history') }}
),

ancestors as (
    select * from {{ ref('dim_dataset_ancestors') }}
),

loads as (
    select * from {{ ref('stg_platform__loads') }}
),

facts as (
    select * from {{ ref('stg_platform__incident_facts') }}
),

-- Each dataset as it was defined when the incident opened.
reached as (
    select
        incidents.incident_id,
        incident_datasets.dataset_key,
        incident_datasets.closing_count,
        incident_datasets.is_cause,
        versions.dataset_name,
        versions.source,
        versions.owner,
        versions.tier,
        versions.metrics
    from incidents
    inner join incident_datasets on incidents.incident_id = incident_datasets.incident_id
    left join versions
        on
            incident_datasets.dataset_key = versions.dataset_key
            and (versions.version_number = 1 or incidents.opened_at >= versions.valid_from)
            and (versions.valid_to is null or incidents.opened_at < versions.valid_to)
),

reach as (
    select
        incident_id,
        max(case when is_cause then dataset_name end) as dataset_name,
        max(case when is_cause then source end) as source,
        max(case when is_cause then owner end) as owner,
        min(tier) as tier,
        sum(case when is_cause then 0 else 1 end) as affected_dataset_count,
        {{ dbt.listagg("case when not is_cause then dataset_key end", "', '", "order by dataset_key") }}
            as affected_datasets,
        sum(closing_count) - 1 as explained_closing_count
    from reached
    group by incident_id
),

reached_owners as (
    select
        incident_id,
        {{ dbt.listagg("owner", "', '", "order by owner") }} as affected_owners
    from (
        select distinct
            incident_id,
            owner
        from reached
        where owner is not null
    ) as each_owner
    group by incident_id
),

metric_elements as (
    select
        incident_id,
        element
    from reached
    {{ json_rows('metrics', 'element') }}
),

reached_metrics as (
    select
        incident_id,
        {{ dbt.listagg("metric", "', '", "order by metric") }} as affected_metrics
    from (
        select distinct
            incident_id,
            {{ json_scalar('element') }} as metric
        from metric_elements
    ) as each_metric
    group by incident_id
),

-- The sources that a dataset comes from, and when each last brought something before the gate closed.
fed_by as (
    select
        incident_id,
        split_part(dataset_key, '.', 2) as source
    from incidents
    where split_part(dataset_key, '.', 1) = 'raw'
    union
    select
        incidents.incident_id,
        split_part(ancestors.ancestor_key, '.', 2) as source
    from incidents
    inner join ancestors
        on
            incidents.dataset_key = ancestors.dataset_key
            and (ancestors.valid_from is null or incidents.opened_at >= ancestors.valid_from)
            and (ancestors.valid_to is null or incidents.opened_at < ancestors.valid_to)
    where split_part(ancestors.ancestor_key, '.', 1) = 'raw'
),

arrivals as (
    select
        incidents.incident_id,
        max(loads.logged_at) as loaded_at
    from incidents
    inner join fed_by on incidents.incident_id = fed_by.incident_id
    inner join loads on fed_by.source = loads.source and incidents.opened_at >= loads.logged_at
    where loads.outcome in ('loaded', 'refused', 'replayed')
    group by incidents.incident_id
),

added as (
    select
        *,
        row_number() over (partition by incident_id, fact order by logged_at, event_id) as fact_rank,
        row_number() over (partition by incident_id, fact order by logged_at desc, event_id desc) as fact_rank_from_last
    from facts
),

-- Acknowledged by who came first; the cause as it was last stated.
told as (
    select
        incident_id,
        max(case when fact = 'acknowledged' and fact_rank = 1 then logged_at end) as acknowledged_at,
        max(case when fact = 'acknowledged' and fact_rank = 1 then added_by end) as acknowledged_by,
        max(case when fact = 'cause' and fact_rank_from_last = 1 then fact_text end) as cause
    from added
    group by incident_id
),

earlier as (
    select
        *,
        lag(incident_id) over (partition by dataset_key, kind order by opened_at, incident_id) as earlier_incident_id,
        lag(opened_at) over (partition by dataset_key, kind order by opened_at, incident_id) as earlier_opened_at
    from incidents
),

described as (
    select
        earlier.*,
        coalesce(reach.dataset_name, earlier.dataset_key) as dataset_name,
        coalesce(
            reach.source,
            case when split_part(earlier.dataset_key, '.', 1) = 'raw' then split_part(earlier.dataset_key, '.', 2) end
        ) as source,
        reach.owner,
        coalesce(reach.tier, 3) as tier,
        -- Nothing arrived that a late or a half-built dataset would be the consequence of.
        case
            when earlier.kind in ('freshness', 'killed') then earlier.opened_at
            else coalesce(earlier.arrived_at, arrivals.loaded_at, earlier.opened_at)
        end as data_arrived_at,
        told.acknowledged_at,
        told.acknowledged_by,
        told.cause,
        reach.affected_dataset_count,
        reach.affected_datasets,
        reached_metrics.affected_metrics,
        reached_owners.affected_owners,
        reach.explained_closing_count,
        coalesce({{ seconds_between('earlier.earlier_opened_at', 'earlier.opened_at') }} <= 90 * 86400, false)
            as is_recurrence
    from earlier
    left join reach on earlier.incident_id = reach.incident_id
    left join reached_owners on earlier.incident_id = reached_owners.incident_id
    left join reached_metrics on earlier.incident_id = reached_metrics.incident_id
    left join arrivals on earlier.incident_id = arrivals.incident_id
    left join told on earlier.incident_id = told.incident_id
)

select
    incident_id,
    dataset_key,
    dataset_name,
    source,
    split_part(dataset_key, '.', 1) as layer,
    owner,
    cast(tier as bigint) as tier,
    kind,
    reason,
    {{ utc_date('opened_at') }} as opened_on,
    opened_at,
    data_arrived_at as arrived_at,
    closed_at,
    is_open,
    overridden_at,
    overridden_by,
    acknowledged_at,
    acknowledged_by,
    cause,
    case
        when kind not in ('freshness', 'killed')
            then cast({{ seconds_between('data_arrived_at', 'opened_at') }} as decimal(18, 3))
    end as detect_seconds,
    cast({{ seconds_between('opened_at', 'closed_at') }} as decimal(18, 3)) as restore_seconds,
    cast(affected_dataset_count as bigint) as affected_dataset_count,
    affected_datasets,
    affected_metrics,
    affected_owners,
    cast(explained_closing_count as bigint) as explained_closing_count,
    is_recurrence,
    case when is_recurrence then earlier_incident_id end as recurrence_of,
    run_id
from described
