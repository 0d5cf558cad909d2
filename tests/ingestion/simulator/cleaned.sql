-- The landed files, cleaned by the rules of docs/reference/sample_company.md and nothing else.
-- {landing} is the landing root.

create macro lines(entity_path) as table
select line, filename
from read_csv(
    '{landing}/' || entity_path || '/*/*.jsonl',
    columns = {{'line': 'varchar'}}, delim = e'\x01', quote = '', escape = '', header = false,
    filename = true, auto_detect = false, max_line_size = 1000000
);

create table events as
select distinct
    j ->> 'event_id' as event_id,
    j ->> 'event_name' as event_name,
    j ->> 'account_id' as account_id,
    j ->> 'user_id' as user_id,
    try_cast(j ->> 'occurred_at' as timestamp)
    + (try_cast(j ->> 'received_at' as timestamp) - try_cast(j ->> 'sent_at' as timestamp))
        as true_at
from (select case when json_valid(line) then line::json end as j from lines('events/events'))
where (j ->> 'user_id') is not null and try_cast(j ->> 'occurred_at' as timestamp) is not null;

create table activity as
select e.*, t.feature, e.true_at::date as day_on
from events as e
inner join '{seeds}/event_taxonomy.csv' as t on e.event_name = t.event_name
where t.is_activity;

create table account_changes as
select distinct
    j ->> 'change_id' as change_id, j ->> 'op' as op, j ->> 'account_id' as account_id,
    (j ->> 'changed_at')::timestamp as changed_at, j ->> 'name' as name,
    j ->> 'industry' as industry, j ->> 'country' as country,
    (j ->> 'employee_count')::bigint as employee_count,
    (j ->> 'created_at')::timestamp as created_at
from (select line::json as j from lines('app/accounts'));

create table accounts as
select account_id, created_at from account_changes where op = 'insert';

create table subscription_changes as
select distinct
    j ->> 'change_id' as change_id, (j ->> 'changed_at')::timestamp as changed_at,
    j ->> 'subscription_id' as subscription_id, j ->> 'customer_id' as customer_id,
    j ->> 'status' as status, (j ->> 'seat_count')::bigint as seat_count,
    j ->> 'billing_interval' as billing_interval,
    (j ->> 'unit_amount')::decimal(18, 2) as unit_amount, j ->> 'currency' as currency,
    (j ->> 'started_at')::timestamp as started_at
from (select line::json as j from lines('billing/subscriptions'));

create table customers as
select distinct j ->> 'customer_id' as customer_id, j ->> 'account_id' as account_id
from (select line::json as j from lines('billing/customers'));

create table invoices as
select *
from (
    select
        j ->> 'invoice_id' as invoice_id, j ->> 'currency' as currency, j ->> 'status' as status,
        try_cast(j ->> 'issued_at' as timestamp) as issued_at,
        try_cast(j ->> 'net_amount' as decimal(18, 2)) as net_amount,
        try_cast(j ->> 'tax_amount' as decimal(18, 2)) as tax_amount,
        try_cast(j ->> 'total_amount' as decimal(18, 2)) as total_amount,
        j -> 'lines' as lines, (j ->> 'updated_at')::timestamp as updated_at
    from (select case when json_valid(line) then line::json end as j from lines('billing/invoices'))
    where (j ->> 'customer_id') is not null
)
where issued_at is not null and total_amount is not null
qualify row_number() over (partition by invoice_id order by updated_at desc) = 1;

create table payments as
select *
from (
    select
        j ->> 'payment_id' as payment_id, j ->> 'currency' as currency, j ->> 'status' as status,
        try_cast(j ->> 'attempted_at' as timestamp) as attempted_at,
        try_cast(j ->> 'amount' as decimal(18, 2)) as amount,
        (j ->> 'updated_at')::timestamp as updated_at
    from (select case when json_valid(line) then line::json end as j from lines('billing/payments'))
    where (j ->> 'invoice_id') is not null
)
where attempted_at is not null and amount is not null
qualify row_number() over (partition by payment_id order by updated_at desc) = 1;

create table refunds as
select distinct
    j ->> 'refund_id' as refund_id, j ->> 'currency' as currency,
    (j ->> 'amount')::decimal(18, 2) as amount, (j ->> 'refunded_at')::timestamp as refunded_at
from (select line::json as j from lines('billing/refunds'));

create table rates as
select distinct currency, rate_on, usd_rate::decimal(18, 6) as usd_rate
from read_csv('{landing}/billing/exchange_rates/*/*.csv', all_varchar = false);

create table leads as
select *
from (
    select
        lead_id, channel, status, account_id, try_cast(created_at as timestamp) as created_at,
        updated_at::timestamp as updated_at
    from read_csv('{landing}/crm/leads/*/*.csv', all_varchar = true, union_by_name = true)
    where channel is not null
)
where created_at is not null
qualify row_number() over (partition by lead_id order by updated_at desc) = 1;

create table spend as
select spend_on, channel, campaign, currency, amount
from read_csv(
    '{landing}/crm/campaign_spend/*/*.csv', types = {{'amount': 'decimal(18,2)'}}
)
qualify row_number() over (partition by spend_on, campaign order by exported_at desc) = 1;
