{#- Reading JSON: json_text gives one value as text; json_rows turns an array into rows, json_scalar one of them to text. -#}

{% macro json_text(column) %}
    {{- return(adapter.dispatch('json_text', 'sluice_macros')(column, varargs)) -}}
{% endmacro %}

{% macro default__json_text(column, path) %}
    {{- return('json_extract_string(' ~ column ~ ", '$." ~ '"' ~ path | join('"."') ~ '"' ~ "')") -}}
{% endmacro %}

{% macro postgres__json_text(column, path) %}
    {{- return('(cast(' ~ column ~ " as jsonb) #>> '{" ~ '"' ~ path | join('","') ~ '"' ~ "}')") -}}
{% endmacro %}

{% macro spark__json_text(column, path) %}
    {{- return('get_json_object(' ~ column ~ ", '$." ~ path | join('.') ~ "')") -}}
{% endmacro %}

{#- A JSON value that is a text, number or flag, as text without quotes. -#}
{% macro json_scalar(value) %}
    {{- return(adapter.dispatch('json_scalar', 'sluice_macros')(value)) -}}
{% endmacro %}

{% macro default__json_scalar(value) %}
    {{- return('json_extract_string(' ~ value ~ ", '$')") -}}
{% endmacro %}

{% macro postgres__json_scalar(value) %}
    {{- return('(cast(' ~ value ~ " as jsonb) #>> '{}')") -}}
{% endmacro %}

{#- from_json(…, 'array<string>') has taken the quotes off already. -#}
{% macro spark__json_scalar(value) %}
    {{- return(value) -}}
{% endmacro %}

{#- Goes after `from <relation> as t`; each element of the array is then the JSON column `element`. -#}
{% macro json_rows(column, element) %}
    {{- return(adapter.dispatch('json_rows', 'sluice_macros')(column, element)) -}}
{% endmacro %}

{% macro default__json_rows(column, element) %}
    {{- return('cross join unnest(cast(' ~ column ~ ' as json[])) as unnested_' ~ element ~ '(' ~ element ~ ')') -}}
{% endmacro %}

{% macro postgres__json_rows(column, element) %}
    {{- return('cross join lateral jsonb_array_elements(cast(' ~ column ~ ' as jsonb)) as unnested_' ~ element ~ '(' ~ element ~ ')') -}}
{% endmacro %}

{% macro spark__json_rows(column, element) %}
    {{- return('lateral view explode(from_json(' ~ column ~ ", 'array<string>')) unnested_" ~ element ~ ' as ' ~ element) -}}
{% endmacro %}
