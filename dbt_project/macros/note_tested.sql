{#- After a call of dbt: up to which build the days of its touched_partitions models have passed their tests. Of a model
    of which any test of its recently_touched_days failed or was left out, nothing is noted: the days stay to be tested. -#}
{% macro note_tested(results) -%}
    {%- set statuses = {} -%}
    {%- for result in (results if execute else []) -%}
        {%- do statuses.update({result.node.unique_id: result.status | string}) -%}
    {%- endfor -%}
    {%- set wanted = {} -%}
    {%- for test in (graph.nodes.values() if execute else []) if test.resource_type == 'test'
        and 'recently_touched_days' in (test.config.where or '') -%}
        {%- set status = statuses.get(test.unique_id, '') -%}
        {%- do wanted.setdefault(test.attached_node, []).append(status in ('pass', 'warn')) -%}
    {%- endfor -%}
    {%- for unique_id, passed in wanted.items() if passed | min and unique_id in graph.nodes -%}
        {%- set name = graph.nodes[unique_id].name -%}
        {%- set books = books_of_tests(graph.nodes[unique_id].database) -%}
        {%- if adapter.get_relation(books.touches.database, books.touches.schema, 'touches') %}
        create table if not exists {{ books.tested }}
            (model {{ dbt.type_string() }} not null, build_id bigint not null);
        delete from {{ books.tested }} where model = '{{ name }}';
        insert into {{ books.tested }} (model, build_id)
        select '{{ name }}', max(build_id) from {{ books.touches }} where model = '{{ name }}'
        having max(build_id) is not null;
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- Where it stands which builds touched which days, and up to which of them a model's days were tested. -#}
{% macro books_of_tests(database) -%}
    {%- set schema = generate_schema_name('platform', none) -%}
    {%- set books = {} -%}
    {%- for name in ('touches', 'tested') -%}
        {%- do books.update({name: api.Relation.create(database=database, schema=schema, identifier=name)}) -%}
    {%- endfor -%}
    {{- return(books) -}}
{%- endmacro %}
