-- One row per account with its amount, a cent apart at one of them.
{{ values_of({'customer': 'varchar', 'total_amount': 'decimal(18, 2)', 'line_count': 'integer'}, [
    ['acc_1', '10.00', 2], ['acc_2', '5.01', 1], ['acc_3', '0.00', 0],
]) }}
