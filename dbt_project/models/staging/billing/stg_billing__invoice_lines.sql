-- One row per line of an invoice, in the invoice's latest version.
with invoices as (
    select * from {{ ref('stg_billing__invoices') }}
),

elements as (
    select
        invoice_id,
        element
    from invoices
    {{ json_rows('lines', 'element') }}
),

lines as (
    select
        {{ json_text('element', 'line_id') }} as line_id,
        invoice_id,
        {{ json_text('element', 'kind') }} as kind,
        {{ json_text('element', 'description') }} as description,
        cast({{ json_text('element', 'quantity') }} as bigint) as quantity,
        cast({{ json_text('element', 'unit_amount') }} as decimal(18, 2)) as unit_amount,
        cast({{ json_text('element', 'amount') }} as decimal(18, 2)) as amount,
        cast({{ json_text('element', 'period_start_on') }} as date) as period_start_on,
        cast({{ json_text('element', 'period_end_on') }} as date) as period_end_on
    from elements
)

select
    line_id,
    invoice_id,
    kind,
    description,
    quantity,
    unit_amount,
    amount,
    period_start_on,
    period_end_on
from lines
