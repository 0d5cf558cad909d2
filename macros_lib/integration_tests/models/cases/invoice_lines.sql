-- One row per line of an invoice.
with invoices as (
    select 1 as invoice_id, cast('[{"line_id": "a", "amount": "1.50"}, {"line_id": "b", "amount": "2"}]' as json) as lines
    union all
    select 2, cast('[]' as json)
)

select
    invoices.invoice_id,
    {{ sluice_macros.json_text('line', 'line_id') }} as line_id,
    cast({{ sluice_macros.json_text('line', 'amount') }} as decimal(18, 2)) as amount
from invoices
{{ sluice_macros.json_rows('invoices.lines', 'line') }}
