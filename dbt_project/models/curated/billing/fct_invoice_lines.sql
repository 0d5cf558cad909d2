-- One row per line of an invoice, in the currency of the invoice.
-- There is no amount in USD: an invoice is converted whole, and its lines would not add up to it.
with lines as (
    select * from {{ ref('stg_billing__invoice_lines') }}
),

invoices as (
    select * from {{ ref('fct_invoices') }}
),

described as (
    select
        lines.line_id,
        lines.invoice_id,
        invoices.account_id,
        invoices.issued_on,
        invoices.is_invoiced,
        lines.kind,
        lines.description,
        lines.quantity,
        invoices.currency,
        lines.unit_amount,
        lines.amount,
        lines.period_start_on,
        lines.period_end_on
    from lines
    inner join invoices on lines.invoice_id = invoices.invoice_id
)

select
    line_id,
    invoice_id,
    account_id,
    issued_on,
    is_invoiced,
    kind,
    description,
    quantity,
    currency,
    unit_amount,
    amount,
    period_start_on,
    period_end_on
from described
