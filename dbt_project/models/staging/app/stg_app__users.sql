-- One row per change of a user, as the product's database logged it.
with changes as (
    select * from {{ source('app', 'users') }}
),

latest as (
    {{ deduplicate_latest('changes', ['change_id'], ['changed_at desc']) }}
)

select
    change_id,
    op,
    changed_at,
    user_id,
    email,
    full_name,
    locale,
    created_at
from latest
