-- One row per order, each with a fault.
{{ values_of({'order_id': 'integer', 'line': 'integer', 'account_id': 'varchar', 'amount': 'decimal(18, 2)',
    'note': 'varchar', 'ordered_at': 'timestamp with time zone'}, [
    [1, 1, 'acc_1', '10.00', none, '2024-12-31 00:00:00+00:00'],
    [1, 1, 'acc_9', '-0.01', none, '2025-01-03 10:00:00+00:00'],
    [3, none, 'acc_2', '100.01', none, '2026-03-01 00:00:00+00:00'],
    [4, 1, none, none, none, '2025-02-01 00:00:00+00:00'],
]) }}
