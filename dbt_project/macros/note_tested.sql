{#- After a call of dbt: up to which build the days of a touched_partitions model have passed each of its tests that asks for
    recently_touched_days. Of a test that failed nothing is noted: the days stay to be tested. A new test, or one with other
    arguments, has another id, and so begins with all of the history. -#}
{% macro note_tested(results) -%}
    {%- for result in (results if execute else [])
        if result.node.resource_type == 'test' and result.status | string in ('pass', 'warn')
        and 'recently_touched_days' in (result.node.config.where or '') -%}
        {%- set model_tested = graph.nodes[result.node.attached_node] -%}
        {%- set books = books_of_tests(model_tested.database) -%}
        {%- if adapter.get_relation(books.touches.database, books.touches.schema, 'touches') %}
        create table if not exists {{ books.tested }}
            (test {{ dbt.type_string() }} not null, build_id bigint not null);
        delete from {{ books.tested }} where test = '{{ result.node.unique_id }}';
        insert into {{ books.tested }} (test, build_id)
        select '{{ result.node.unique_id }}', max(build_id) from {{ books.touches }}
        where model = '{{ model_tested.name }}'
        having max(build_id) is not null;
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- Where it stands which builds touched which days, and up to which of them each test has passed. -#}
{% macro books_of_tests(database) -%}
    {%- set schema = generate_schema_name('platform', none) -%}
    {%- set books = {} -%}
    {%- for name in ('touches', 'tested') -%}
        {%- do books.update({name: api.Relation.create(database=database, schema=schema, identifier=name)}) -%}
    {%- endfor -%}
    {{- return(books) -}}
{%- endmacro %}
