-- One row per version; every key has one fault, but for "good".
{{ values_of({'thing_id': 'varchar', 'valid_from': 'date', 'valid_to': 'date'}, [
    ['good', '2025-01-01', '2025-01-05'], ['good', '2025-01-05', none],
    ['overlap', '2025-01-01', '2025-01-06'], ['overlap', '2025-01-05', none],
    ['two current', '2025-01-01', none], ['two current', '2025-01-05', none],
    ['backward', '2025-01-05', '2025-01-04'], ['backward', '2025-01-06', none],
    ['same beginning', '2025-01-01', '2025-01-02'], ['same beginning', '2025-01-01', none],
    ['gap', '2025-01-01', '2025-01-03'], ['gap', '2025-01-05', none],
    ['ended', '2025-01-01', '2025-01-03'],
]) }}
