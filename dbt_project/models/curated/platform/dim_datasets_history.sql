-- One row per dataset and version of its definition.
with definitions as (
    select
        deploy_id,
        min(logged_at) over (partition by deploy_id) as deployed_at,
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
        cast(ancestors as {{ dbt.type_string() }}) as ancestors,
        cast(metrics as {{ dbt.type_string() }}) as metrics,
        cast(service_level as {{ dbt.type_string() }}) as service_level
    from {{ ref('stg_platform__datasets') }}
),

deploys as (
    select
        deploy_id,
        deployed_at,
        lead(deploy_id) over (order by deployed_at, deploy_id) as next_deploy_id,
        lead(deployed_at) over (order by deployed_at, deploy_id) as next_deployed_at
    from (
        select distinct
            deploy_id,
            deployed_at
        from definitions
    ) as each_deploy
),

-- A dataset that the next deploy does not know was removed by it.
removals as (
    select
        definitions.dataset_key,
        deploys.next_deploy_id as deploy_id,
        deploys.next_deployed_at as deployed_at
    from definitions
    inner join deploys on definitions.deploy_id = deploys.deploy_id
    left join definitions as next_definitions
        on
            deploys.next_deploy_id = next_definitions.deploy_id
            and definitions.dataset_key = next_definitions.dataset_key
    where
        deploys.next_deploy_id is not null
        and next_definitions.dataset_key is null
),

changes as (
    select
        deploy_id,
        'update' as op,
        deployed_at,
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
        ancestors,
        metrics,
        service_level
    from definitions
    union all
    select
        deploy_id,
        'delete' as op,
        deployed_at,
        dataset_key,
        null as dataset_name,
        null as layer,
        null as source,
        null as owner,
        null as tier,
        null as classification,
        null as is_public,
        null as description_length,
        null as documented_column_count,
        null as column_count,
        null as check_count,
        null as test_count,
        null as ancestors,
        null as metrics,
        null as service_level
    from removals
),

versions as (
    {{ scd2_from_change_log(
        'changes',
        'dataset_key',
        changed_at='deployed_at',
        attributes=['dataset_name', 'layer', 'source', 'owner', 'tier', 'classification', 'is_public',
            'description_length', 'documented_column_count', 'column_count', 'check_count', 'test_count', 'ancestors',
            'metrics', 'service_level'],
        tie_breaker='deploy_id',
    ) }}
)

select
    {{ surrogate_key(['dataset_key', 'version_number']) }} as dataset_version_key,
    dataset_key,
    version_number,
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
    ancestors,
    metrics,
    service_level,
    valid_from,
    valid_to,
    is_current
from (
    select
        *,
        row_number() over (partition by dataset_key order by valid_from) as version_number
    from versions
) as numbered
where not is_deleted
