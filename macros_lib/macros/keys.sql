{#- One text key of several columns. Each part carries its length and a null has a mark of its
    own, so that no two different rows can meet: ('a', null) is not ('a', '') is not ('', 'a'). -#}
{% macro surrogate_key(fields) %}
    {%- set parts = [] -%}
    {%- for field in fields -%}
        {%- set text = 'cast(' ~ field ~ ' as ' ~ dbt.type_string() ~ ')' -%}
        {%- do parts.append(
            "coalesce(cast(length(" ~ text ~ ") as " ~ dbt.type_string() ~ ") || ':' || " ~ text ~ ", '~')"
        ) -%}
    {%- endfor -%}
    {{- return('md5(' ~ parts | join(' || ') ~ ')') -}}
{% endmacro %}
