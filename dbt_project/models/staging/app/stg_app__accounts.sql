-- One row per change of an account, as the product's database logged it.
with changes as (
    select * from {{ source('app', 'accounts') }}
),

latest as (
    {{ deduplicate_latest('changes', ['change_id'], ['changed_at desc']) }}
)

select
    change_id,
    op,
    changed_at,
    account_id,
    name as account_name,
    industry,
    country,
    employee_count,
    created_at
from latest
