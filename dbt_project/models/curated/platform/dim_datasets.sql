-- One row per dataset of the newest deploy.
with versions as (
    select
        *,
        case tier when 1 then 0.99 when 2 then 0.95 else 0.90 end as tier_objective,
        {{ json_object('service_level', ['freshness_hours', 'freshness_objective', 'completeness_objective',
            'pass_rate_objective']) }} as promises
    from {{ ref('dim_datasets_history') }}
    where is_current
),

promised as (
    select
        *,
        {{ as_double(json_field('promises', 'freshness_hours')) }} as freshness_hours,
        {{ as_double(json_field('promises', 'freshness_objective')) }} as freshness_objective,
        {{ as_double(json_field('promises', 'completeness_objective')) }} as completeness_objective,
        {{ as_double(json_field('promises', 'pass_rate_objective')) }} as pass_rate_objective
    from versions
)

-- What a YAML leaves open follows from the tier. 48 hours: a dataset that is built every day may miss one morning.
select
    dataset_key,
    dataset_name,
    layer,
    source,
    owner,
    tier,
    classification,
    is_public,
    description_length,
    documented_column_count,
    column_count,
    check_count,
    test_count,
    metrics,
    coalesce(freshness_hours, 48) as freshness_hours,
    {{ as_double('coalesce(freshness_objective, tier_objective)') }} as freshness_objective,
    {{ as_double('coalesce(completeness_objective, tier_objective)') }} as completeness_objective,
    {{ as_double('coalesce(pass_rate_objective, tier_objective)') }} as pass_rate_objective,
    valid_from as defined_at
from promised
