{#- A layer's schema is called after the layer; before it stands what tells environments in one database apart
    (warehouse/schemas.py). -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ env_var('SLUICE_SCHEMA_PREFIX', '') ~ (custom_schema_name | trim) if custom_schema_name else target.schema }}
{%- endmacro %}
