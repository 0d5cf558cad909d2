-- One row per order, all of them as they should be.
{{ values_of({'order_id': 'integer', 'line': 'integer', 'account_id': 'varchar', 'amount': 'decimal(18, 2)',
    'note': 'varchar', 'ordered_at': 'timestamp with time zone'}, [
    [1, 1, 'acc_1', '10.00', none, '2025-01-02 00:00:00+00:00'],
    [1, 2, 'acc_1', '0.00', 'gift', '2025-01-03 10:00:00+00:00'],
    [2, 1, 'acc_2', '5.00', none, '2026-03-31 20:00:00+00:00'],
]) }}
