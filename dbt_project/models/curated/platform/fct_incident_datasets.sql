-- One row per incident and dataset that it shut or kept from being rebuilt.
with incidents as (
    select * from {{ ref('fct_incidents') }}
),

closings as (
    select * from {{ ref('fct_gate_closings') }}
),

explanations as (
    select * from {{ ref('fct_gate_explanations') }}
),

ancestors as (
    select * from {{ ref('dim_dataset_ancestors') }}
),

-- Of several explanations of a closing one counts: an incident before what it explains itself, then the earliest.
ranked as (
    select
        explanations.gate_closing_key,
        explanations.explained_by_key,
        row_number() over (
            partition by explanations.gate_closing_key
            order by
                explanations.judged_at,
                case when incidents.opened_at <= explanations.judged_at then 0 else 1 end,
                causes.opened_at,
                -- Of those that shut in one step, the one that most is below.
                case split_part(causes.dataset_key, '.', 1)
                    when 'raw' then 0
                    when 'staging' then 1
                    when 'curated' then 2
                    else 3
                end,
                causes.dataset_key
        ) as explanation_rank
    from explanations
    inner join closings as causes on explanations.explained_by_key = causes.gate_closing_key
    left join incidents on explanations.explained_by_key = incidents.gate_closing_key
),

explained as (
    select
        gate_closing_key,
        explained_by_key
    from ranked
    where explanation_rank = 1
),

-- What explains may be explained itself: a mart by one entity of a source, that by the entity whose file was refused.
roots as (
    select
        explained.gate_closing_key,
        coalesce(nearest.incident_id, next_nearest.incident_id, farthest.incident_id) as incident_id
    from explained
    left join incidents as nearest on explained.explained_by_key = nearest.gate_closing_key
    left join explained as second_step on explained.explained_by_key = second_step.gate_closing_key
    left join incidents as next_nearest on second_step.explained_by_key = next_nearest.gate_closing_key
    left join explained as third_step on second_step.explained_by_key = third_step.gate_closing_key
    left join incidents as farthest on third_step.explained_by_key = farthest.gate_closing_key
),

shut as (
    select
        incident_id,
        dataset_key,
        opened_at,
        true as is_shut
    from incidents
    union all
    select
        roots.incident_id,
        closings.dataset_key,
        closings.opened_at,
        true as is_shut
    from roots
    inner join closings on roots.gate_closing_key = closings.gate_closing_key
    where roots.incident_id is not null
),

below as (
    select
        shut.incident_id,
        ancestors.dataset_key,
        false as is_shut
    from shut
    inner join ancestors
        on
            shut.dataset_key = ancestors.ancestor_key
            and (ancestors.valid_from is null or shut.opened_at >= ancestors.valid_from)
            and (ancestors.valid_to is null or shut.opened_at < ancestors.valid_to)
),

reached as (
    select
        incident_id,
        dataset_key,
        is_shut
    from shut
    union all
    select * from below
),

reached_once as (
    select
        reached.incident_id,
        reached.dataset_key,
        sum(case when reached.is_shut then 1 else 0 end) as closing_count,
        max(case when reached.dataset_key = incidents.dataset_key then 1 else 0 end) = 1 as is_cause
    from reached
    inner join incidents on reached.incident_id = incidents.incident_id
    group by reached.incident_id, reached.dataset_key
)

select
    {{ surrogate_key(['incident_id', 'dataset_key']) }} as incident_dataset_key,
    incident_id,
    dataset_key,
    cast(closing_count as bigint) as closing_count,
    is_cause
from reached_once
