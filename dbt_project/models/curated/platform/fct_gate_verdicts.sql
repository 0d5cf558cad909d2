-- One row per verdict on a gate: it was evaluated, or a run that was to mend it came to its end and did not.
with gates as (
    select * from {{ ref('stg_platform__gates') }}
),

results as (
    select * from {{ ref('fct_check_results') }}
),

runs as (
    select * from {{ ref('fct_runs') }}
),

-- Events of older versions do not say what kind of closing they are; their checks do.
failures as (
    select
        event_id,
        max(case when check_type = 'load' then 1 else 0 end) as load_count,
        max(case when check_type = 'dbt' then 1 else 0 end) as dbt_count,
        max(case when check_type = 'schema' then 1 else 0 end) as schema_count,
        max(case when outcome = 'fail' and check_type not in ('schema', 'freshness') then 1 else 0 end) as failed_count,
        max(case when check_type = 'freshness' then 1 else 0 end) as freshness_count
    from results
    where not is_passed
    group by event_id
),

-- A person who opens a gate takes responsibility for it; nothing was evaluated.
evaluated as (
    select
        gates.event_id,
        gates.dataset_key,
        gates.logged_at as judged_at,
        gates.run_id,
        gates.state = 'open' as is_passed,
        case
            when gates.state = 'open' then null
            when gates.kind is not null then gates.kind
            when failures.load_count = 1 then 'load_refused'
            when failures.dbt_count = 1 then 'dbt_failed'
            when failures.schema_count = 1 then 'schema'
            when failures.failed_count = 1 then 'check_failed'
            when failures.freshness_count = 1 then 'freshness'
            else 'not_evaluated'
        end as kind,
        gates.reason,
        gates.arrived_at
    from gates
    left join failures on gates.event_id = failures.event_id
    where
        gates.state = 'closed'
        or (gates.state = 'open' and gates.override_by is null)
),

left_pending as (
    select
        gates.event_id,
        gates.dataset_key,
        gates.logged_at,
        gates.run_id,
        gates.reason,
        min(case when gates.state <> 'pending' then gates.logged_at end) over (
            partition by gates.dataset_key
            order by gates.logged_at desc, gates.event_id desc
            rows between unbounded preceding and current row
        ) as next_settled_at,
        gates.state,
        -- Nearly every gate is settled by the run that made it pending: these need no other run to be looked for.
        coalesce(
            lead(gates.state) over (partition by gates.dataset_key order by gates.logged_at, gates.event_id)
            <> 'pending'
            and lead(gates.run_id) over (partition by gates.dataset_key order by gates.logged_at, gates.event_id)
            = gates.run_id,
            false
        ) as is_settled_by_its_run
    from gates
),

-- The whole run of the same job that follows is to mend what was left half-built.
followed as (
    select
        left_pending.event_id,
        left_pending.dataset_key,
        left_pending.run_id,
        left_pending.reason,
        left_pending.next_settled_at,
        mending.ended_at,
        row_number() over (partition by left_pending.event_id order by mending.started_at, mending.run_id) as run_rank
    from left_pending
    left join runs as own on left_pending.run_id = own.run_id
    inner join runs as mending
        on
            left_pending.logged_at < mending.started_at
            and left_pending.run_id <> mending.run_id
            and coalesce(own.job, mending.job) = mending.job
    where
        left_pending.state = 'pending'
        and not left_pending.is_settled_by_its_run
        and not mending.is_selection
),

killed as (
    select
        event_id,
        dataset_key,
        ended_at as judged_at,
        run_id,
        false as is_passed,
        'killed' as kind,
        reason,
        cast(null as timestamp with time zone) as arrived_at
    from followed
    where
        run_rank = 1
        and ended_at is not null
        and (next_settled_at is null or next_settled_at > ended_at)
),

verdicts as (
    select * from evaluated
    union all
    select * from killed
)

select
    event_id,
    dataset_key,
    judged_at,
    run_id,
    is_passed,
    kind,
    reason,
    arrived_at,
    -- The closings of a gate are counted by the passes before them.
    case
        when not is_passed then {{ surrogate_key([
            'dataset_key',
            'sum(case when is_passed then 1 else 0 end) over ('
                ~ 'partition by dataset_key order by judged_at, event_id rows between unbounded preceding and current row)',
        ]) }}
    end as gate_closing_key
from verdicts
