{#- Several fields of one JSON object, parsed once: `json_object` gives the parsed object, `json_field` one field of it.
    One path at a time costs a parse each (three times as much for eight fields). -#}

{#- `fields`: the names to keep, all read as text. -#}
{% macro json_object(column, fields) %}
    {{- return(adapter.dispatch('json_object', 'sluice_macros')(column, fields)) -}}
{% endmacro %}

{% macro json_field(object, field) %}
    {{- return(adapter.dispatch('json_field', 'sluice_macros')(object, field)) -}}
{% endmacro %}

{% macro default__json_object(column, fields) %}
    {%- set shape = [] -%}
    {%- for field in fields -%}
        {%- do shape.append('"' ~ field ~ '":"VARCHAR"') -%}
    {%- endfor -%}
    {{- return('json_transform(' ~ column ~ ", '{" ~ shape | join(',') ~ "}')") -}}
{% endmacro %}

{% macro default__json_field(object, field) %}
    {{- return(object ~ '.' ~ field) -}}
{% endmacro %}

{% macro postgres__json_object(column, fields) %}
    {{- return('cast(' ~ column ~ ' as jsonb)') -}}
{% endmacro %}

{% macro postgres__json_field(object, field) %}
    {{- return('(' ~ object ~ " ->> '" ~ field ~ "')") -}}
{% endmacro %}

{% macro spark__json_object(column, fields) %}
    {{- return('from_json(' ~ column ~ ", '" ~ fields | join(' string, ') ~ " string')") -}}
{% endmacro %}

{% macro spark__json_field(object, field) %}
    {{- return(object ~ '.' ~ field) -}}
{% endmacro %}
