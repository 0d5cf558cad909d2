{#- The empty table that a touched_partitions model is built into.
    DuckDB 2.0.0: a table created as an (empty) select, and filled in the same transaction with more than 122,880 ordered
    rows, afterwards answers `select distinct` with no rows (`count(*)` is right), in this process even after the commit.
    A table created by its columns does not. -#}
{% macro default__create_empty(relation, sql) %}
    {%- if config.get('contract').enforced -%}
        {{- return(get_create_table_as_sql(False, relation, get_empty_subquery_sql(sql))) -}}
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
