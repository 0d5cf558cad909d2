-- One row per paying customer, as it is now.
with changes as (
    select * from {{ ref('stg_billing__customers') }}
),

versions as (
    {{ scd2_from_change_log(
        'changes',
        key='customer_id',
        attributes=['account_id', 'currency', 'country', 'created_at'],
    ) }}
)

select
    customer_id,
    account_id,
    currency,
    country,
    created_at,
    is_deleted
from versions
where is_current
