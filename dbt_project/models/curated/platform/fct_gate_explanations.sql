-- One row per verdict that shut a gate and other closing that explains it.
with verdicts as (
    select
        *,
        split_part(dataset_key, '.', 1) as layer,
        split_part(dataset_key, '.', 2) as source,
        split_part(dataset_key, '.', 3) as entity
    from {{ ref('fct_gate_verdicts') }}
    where not is_passed
),

closings as (
    select * from {{ ref('fct_gate_closings') }}
),

ancestors as (
    select * from {{ ref('dim_dataset_ancestors') }}
),

-- A closed gate explains what shuts below it while it lasts.
above as (
    select
        verdicts.event_id,
        closings.gate_closing_key as explained_by_key
    from verdicts
    inner join ancestors
        on
            verdicts.dataset_key = ancestors.dataset_key
            and (ancestors.valid_from is null or verdicts.judged_at >= ancestors.valid_from)
            and (ancestors.valid_to is null or verdicts.judged_at < ancestors.valid_to)
    inner join closings
        on
            ancestors.ancestor_key = closings.dataset_key
            and verdicts.judged_at >= closings.opened_at
            and (closings.closed_at is null or verdicts.judged_at < closings.closed_at)
),

-- A refused file shuts all of its source: the entity that it belongs to explains the others.
refusals as (
    select
        *,
        {{ dbt.position("source || '/' || entity || '/'", "coalesce(reason, '')") }} > 0 as is_of_own_file
    from verdicts
    where
        layer = 'raw'
        and kind = 'load_refused'
),

leaders as (
    select
        source,
        judged_at,
        coalesce(min(case when is_of_own_file then dataset_key end), min(dataset_key)) as dataset_key
    from refusals
    group by source, judged_at
),

beside as (
    select
        refusals.event_id,
        closings.gate_closing_key as explained_by_key
    from refusals
    inner join leaders on refusals.source = leaders.source and refusals.judged_at = leaders.judged_at
    inner join closings
        on
            leaders.dataset_key = closings.dataset_key
            and refusals.judged_at >= closings.opened_at
            and (closings.closed_at is null or refusals.judged_at < closings.closed_at)
    where
        leaders.dataset_key <> refusals.dataset_key
        and not refusals.is_of_own_file
),

explanations as (
    select * from above
    union all
    select * from beside
)

select
    {{ surrogate_key(['explanations.event_id', 'explanations.explained_by_key']) }} as gate_explanation_key,
    explanations.event_id,
    verdicts.gate_closing_key,
    verdicts.judged_at,
    explanations.explained_by_key
from explanations
inner join verdicts on explanations.event_id = verdicts.event_id
