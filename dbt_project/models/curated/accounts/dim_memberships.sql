-- One row per membership of a user in an account, as it is now.
with changes as (
    select * from {{ ref('stg_app__memberships') }}
),

versions as (
    {{ scd2_from_change_log(
        'changes',
        key='membership_id',
        attributes=['account_id', 'user_id', 'role', 'created_at'],
    ) }}
)

select
    membership_id,
    account_id,
    user_id,
    role,
    created_at,
    {{ utc_date('created_at') }} as created_on,
    is_deleted
from versions
where is_current
