{#- A failing row is a combination that occurs more than once, or a key with a null in it. -#}
{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}, count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1{% for column in columns %} or {{ column }} is null{% endfor %}
{% endtest %}

{% test not_empty(model) %}
select counted.row_count
from (select count(*) as row_count from {{ model }}) as counted
where counted.row_count = 0
{% endtest %}

{#- A column that is always null says nothing: often a join or a renamed field that no longer matches. -#}
{% test at_least_one(model, column_name) %}
select counted.value_count
from (select count({{ column_name }}) as value_count, count(*) as row_count from {{ model }}) as counted
where counted.value_count = 0 and counted.row_count > 0
{% endtest %}
