-- One row per account and version: what the account was from one change to the next.
with changes as (
    select * from {{ ref('stg_app__accounts') }}
),

versions as (
    {{ scd2_from_change_log(
        'changes',
        key='account_id',
        attributes=['account_name', 'industry', 'country', 'employee_count', 'created_at'],
    ) }}
)

select
    account_id,
    valid_from,
    valid_to,
    account_name,
    industry,
    country,
    employee_count,
    created_at,
    is_deleted,
    is_current
from versions
