-- One row per user, as the user is now; a deleted user stays, without name and address.
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

-- The last image, found without looking at what is personal.
ranked_images as (
    select
        user_id,
        email,
        full_name,
        row_number() over (partition by user_id order by changed_at desc, change_id desc) as image_rank
    from users
    where op <> 'delete'
),

images as (
    select * from ranked_images
    where image_rank = 1
),

current_users as (
    select
        versions.user_id,
        case when not versions.is_deleted then images.email end as email,
        case when not versions.is_deleted then images.full_name end as full_name,
        versions.email_hash,
        versions.locale,
        versions.created_at,
        {{ utc_date('versions.created_at') }} as created_on,
        versions.is_deleted,
        case when versions.is_deleted then versions.valid_from end as deleted_at
    from versions
    left join images on versions.user_id = images.user_id
    where versions.is_current
)

select
    user_id,
    email,
    full_name,
    email_hash,
    locale,
    created_at,
    created_on,
    is_deleted,
    deleted_at
from current_users
