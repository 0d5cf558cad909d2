{#- The empty table that a touched_partitions model is built into.
    DuckDB 2.0.0 loses rows: where one transaction inserts no rows into a table (an empty `create table as` counts, and so
    does dbt's way with an enforced contract) and then more than 122,880, the table's statistics miss the latter, and
    whatever is pruned by them (`where`, `distinct`, `min`) answers without them until the next checkpoint, even after the
    commit. So here a table is created by its columns, and no table is written twice in one transaction. -#}
{% macro default__create_empty(relation, sql) %}
    {%- if config.get('contract').enforced -%}
        {%- do get_assert_columns_equivalent(sql) -%}
        {{- return('create table ' ~ relation ~ ' ' ~ get_table_columns_and_constraints()) -}}
    {%- endif -%}
    {%- set columns = [] -%}
    {%- for row in run_query('describe select * from (' ~ sql ~ '\n) as definition') -%}
        {%- do columns.append(adapter.quote(row[0]) ~ ' ' ~ row[1]) -%}
    {%- endfor -%}
    {{- return('create table ' ~ relation ~ ' (' ~ columns | join(', ') ~ ')') -}}
{% endmacro %}

{% macro postgres__create_empty(relation, sql) %}
    {{- return(get_create_table_as_sql(False, relation, get_empty_subquery_sql(sql))) -}}
{% endmacro %}

{% macro spark__create_empty(relation, sql) %}
    {{- return(get_create_table_as_sql(False, relation, get_empty_subquery_sql(sql))) -}}
{% endmacro %}
