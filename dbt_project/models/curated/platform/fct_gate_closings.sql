-- One row per closing of a gate: from the first verdict that shut it to the first that passed.
with verdicts as (
    select * from {{ ref('fct_gate_verdicts') }}
),

gates as (
    select * from {{ ref('stg_platform__gates') }}
),

versions as (
    select * from {{ ref('dim_datasets_history') }}
),

-- A dataset that is not in the project any more has no gate.
removed as (
    select
        dataset_key,
        max(valid_to) as removed_at
    from versions
    group by dataset_key
    having max(case when is_current then 1 else 0 end) = 0
),

ranked as (
    select
        *,
        count(*) over (partition by gate_closing_key) as verdict_count,
        row_number() over (partition by gate_closing_key order by judged_at, event_id) as verdict_rank
    from verdicts
    where not is_passed
),

shut as (
    select * from ranked
    where verdict_rank = 1
),

passed as (
    select
        shut.gate_closing_key,
        min(verdicts.judged_at) as passed_at
    from shut
    inner join verdicts on shut.dataset_key = verdicts.dataset_key and shut.judged_at <= verdicts.judged_at
    where verdicts.is_passed
    group by shut.gate_closing_key
),

closings as (
    select
        shut.*,
        case
            when passed.passed_at is not null then passed.passed_at
            when removed.removed_at > shut.judged_at then removed.removed_at
        end as closed_at
    from shut
    left join passed on shut.gate_closing_key = passed.gate_closing_key
    left join removed on shut.dataset_key = removed.dataset_key
),

overridden as (
    select
        closings.gate_closing_key,
        min(gates.logged_at) as overridden_at,
        min(gates.override_by) as overridden_by
    from closings
    inner join gates
        on
            closings.dataset_key = gates.dataset_key
            and closings.judged_at <= gates.logged_at
            and (closings.closed_at is null or closings.closed_at > gates.logged_at)
    where
        gates.state = 'open'
        and gates.override_by is not null
    group by closings.gate_closing_key
)

select
    closings.gate_closing_key,
    closings.dataset_key,
    closings.judged_at as opened_at,
    closings.closed_at,
    closings.closed_at is null as is_open,
    closings.kind,
    closings.reason,
    closings.run_id,
    closings.verdict_count,
    overridden.overridden_at,
    overridden.overridden_by
from closings
left join overridden on closings.gate_closing_key = overridden.gate_closing_key
