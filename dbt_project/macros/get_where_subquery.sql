{#- Lets a data test of a touched_partitions model say `where: occurred_on in recently_touched_days`: what the last 30
    builds rebuilt, and the last 35 days. Testing all of a long history would cost more every day; testing only the last
    build would forget a day that failed yesterday. -#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where', '') -%}
    {%- if not where -%}
        {{- return(relation) -}}
    {%- endif -%}
    {%- if 'recently_touched_days' in where -%}
        {%- set touches = relation.incorporate(path={
            'schema': generate_schema_name('platform', none), 'identifier': 'touches'}) -%}
        {%- set own = "from " ~ touches ~ " where model = '" ~ relation.identifier ~ "'" -%}
        {%- set where = where | replace('recently_touched_days',
            '(select partition_on ' ~ own ~ ' and (build_id > (select max(build_id) - 30 ' ~ own
            ~ ') or partition_on > (select ' ~ add_days('max(partition_on)', -35) ~ ' ' ~ own ~ ')))') -%}
    {%- endif -%}
    {{- return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') as tested') -}}
{%- endmacro %}
