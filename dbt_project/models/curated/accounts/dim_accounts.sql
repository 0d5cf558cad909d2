-- One row per account, as it is now; a deleted account stays as it last was.
with versions as (
    select * from {{ ref('dim_accounts_history') }}
),

countries as (
    select * from {{ ref('countries') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

leads as (
    select * from {{ ref('dim_leads') }}
),

-- Two people of a company may both be leads: the account came by the first of them.
first_leads as (
    {{ deduplicate_latest(
        'leads where account_id is not null', ['account_id'], ['created_at', 'lead_id'],
    ) }}
),

current_accounts as (
    select
        account_id,
        account_name,
        industry,
        country,
        employee_count,
        created_at,
        is_deleted,
        case when is_deleted then valid_from end as deleted_at
    from versions
    where is_current
),

described as (
    select
        accounts.account_id,
        accounts.account_name,
        accounts.industry,
        accounts.country,
        countries.name as country_name,
        countries.region,
        accounts.employee_count,
        first_leads.channel,
        first_leads.lead_id,
        customers.customer_id,
        customers.currency as billing_currency,
        accounts.created_at,
        {{ utc_date('accounts.created_at') }} as created_on,
        accounts.is_deleted,
        accounts.deleted_at
    from current_accounts as accounts
    left join countries on accounts.country = countries.country
    left join customers on accounts.account_id = customers.account_id
    left join first_leads on accounts.account_id = first_leads.account_id
)

select
    account_id,
    account_name,
    industry,
    country,
    country_name,
    region,
    employee_count,
    channel,
    lead_id,
    customer_id,
    billing_currency,
    created_at,
    created_on,
    is_deleted,
    deleted_at
from described
