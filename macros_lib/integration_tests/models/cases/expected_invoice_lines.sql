-- One row per line that must come out.
{{ values_of({'invoice_id': 'integer', 'line_id': 'varchar', 'amount': 'decimal(18, 2)'}, [
    [1, 'a', '1.50'], [1, 'b', '2.00'],
]) }}
