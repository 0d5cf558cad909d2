-- One row per user, as the user is now; a deleted user stays, without anything personal.
with users as (
    select * from {{ ref('stg_app__users') }}
),

-- Before anything is compared or filtered: which version is a new one would tell of the address, too.
changes as (
    select
        change_id,
        op,
        changed_at,
        user_id,
        {{ anonymise_hash('email') }} as email_hash,
        locale,
        created_at
    from users
),

versions as (
    {{ scd2_from_change_log(
        'changes',
        key='user_id',
        attributes=['email_hash', 'locale', 'created_at'],
    ) }}
),

current_users as (
    select
        user_id,
        email_hash,
        locale,
        created_at,
        {{ utc_date('created_at') }} as created_on,
        is_deleted,
        case when is_deleted then valid_from end as deleted_at
    from versions
    where is_current
)

select
    user_id,
    email_hash,
    locale,
    created_at,
    created_on,
    is_deleted,
    deleted_at
from current_users
