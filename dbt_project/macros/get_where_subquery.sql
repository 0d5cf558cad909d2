{#- Lets a data test of a touched_partitions model say `where: occurred_on in recently_touched_days`: what was rebuilt
    since the test last passed (note_tested.sql), and the last 35 days. Testing all of a long history would cost more
    every day; testing only the last build would forget a day that failed yesterday. -#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where', '') -%}
    {%- if not where -%}
        {{- return(relation) -}}
    {%- endif -%}
    {%- if 'recently_touched_days' in where -%}
        {%- set books = books_of_tests(relation.database) -%}
        {%- set touches = books.touches -%}
        {%- set is_known = execute and adapter.get_relation(books.tested.database, books.tested.schema, 'tested') -%}
        {%- set is_own = "where model = '" ~ relation.identifier ~ "'" -%}
        {%- set passed = '0' if not is_known
            else '(select coalesce(max(build_id), 0) from ' ~ books.tested
            ~ " where test = '" ~ model.unique_id ~ "')" -%}
        {%- set where = where | replace('recently_touched_days',
            '(select partition_on from ' ~ touches ~ ' ' ~ is_own ~ ' and (build_id > ' ~ passed
            ~ ' or partition_on > (select ' ~ add_days('max(partition_on)', -35) ~ ' from ' ~ touches ~ ' '
            ~ is_own ~ ')))') -%}
    {%- endif -%}
    {{- return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') as tested') -}}
{%- endmacro %}
