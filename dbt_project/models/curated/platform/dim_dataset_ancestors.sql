-- One row per version of a dataset and dataset above it.
with versions as (
    select * from {{ ref('dim_datasets_history') }}
),

elements as (
    select
        dataset_version_key,
        dataset_key,
        version_number,
        valid_from,
        valid_to,
        element
    from versions
    {{ json_rows('ancestors', 'element') }}
)

select
    {{ surrogate_key(['dataset_version_key', json_scalar('element')]) }} as dataset_ancestor_key,
    dataset_version_key,
    dataset_key,
    {{ json_scalar('element') }} as ancestor_key,
    -- How a dataset was before the log first told of it is taken for how it was then.
    case when version_number > 1 then valid_from end as valid_from,
    valid_to
from elements
