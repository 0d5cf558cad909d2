-- One row per change of a membership, as the product's database logged it.
with changes as (
    select * from {{ source('app', 'memberships') }}
),

latest as (
    {{ deduplicate_latest('changes', ['change_id'], ['changed_at desc']) }}
)

select
    change_id,
    op,
    changed_at,
    membership_id,
    account_id,
    user_id,
    role,
    created_at
from latest
