-- One row per incident: a closing of a gate that no other closing explains.
with verdicts as (
    select * from {{ ref('fct_gate_verdicts') }}
    where not is_passed
),

closings as (
    select * from {{ ref('fct_gate_closings') }}
),

explained as (
    select distinct event_id
    from {{ ref('fct_gate_explanations') }}
),

-- It opens at the first verdict for which that is so: what went on after its explanation had ended is its own trouble.
unexplained as (
    select
        verdicts.*,
        row_number() over (
            partition by verdicts.gate_closing_key order by verdicts.judged_at, verdicts.event_id
        ) as verdict_rank
    from verdicts
    left join explained on verdicts.event_id = explained.event_id
    where explained.event_id is null
)

select
    substring({{ surrogate_key(['unexplained.dataset_key', 'unexplained.event_id']) }}, 1, 8) as incident_id,
    closings.gate_closing_key,
    unexplained.dataset_key,
    unexplained.kind,
    unexplained.reason,
    unexplained.run_id,
    unexplained.judged_at as opened_at,
    unexplained.arrived_at,
    closings.closed_at,
    closings.is_open,
    closings.overridden_at,
    closings.overridden_by
from unexplained
inner join closings on unexplained.gate_closing_key = closings.gate_closing_key
where unexplained.verdict_rank = 1
