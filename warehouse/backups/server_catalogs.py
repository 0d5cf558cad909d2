"""PostgreSQL's catalogs, asked for the statements that make what they describe.

The catalogs write most of it themselves (`pg_get_viewdef` and its kin). In each query `HERE` stands
for the ids of the schemas that are asked about; each gives one statement per row.
"""

from __future__ import annotations

from typing import Final

# Everything is written with its schema, and values so that any server reads them alike.
PLAIN: Final = (
    "set local search_path = ''",
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO, YMD'",
    "set local intervalstyle = 'postgres'",
    "set local extra_float_digits = 1",
    "set local bytea_output = 'hex'",
    "set local row_security = off",
    "set local synchronize_seqscans = off",
)
HERE: Final = "(select oid from pg_namespace where nspname = any(?::text[]))"

_Q: Final = "format('%I.%I', n.nspname, o.relname)"

UNKNOWN: Final = f"""
    select case relkind when 'f' then 'the foreign table' when 'c' then 'the type'
                else 'the table that inherits' end, {_Q}
    from pg_class as o inner join pg_namespace as n on n.oid = relnamespace
    where relnamespace in HERE and (relkind in ('f', 'c') or (relkind = 'r' and not relispartition
        and exists (select 1 from pg_inherits where inhrelid = o.oid)))
    union all
    select 'the type', typname from pg_type
    where typnamespace in HERE and typtype in ('e', 'd', 'r')
    union all
    select 'the aggregate', proname from pg_proc
    where pronamespace in HERE and prokind in ('a', 'w')
    union all
    select 'the rule', rulename from pg_rewrite inner join pg_class as o on o.oid = ev_class
    where relnamespace in HERE and rulename <> '_RETURN'
    union all
    select 'the extension', extname from pg_extension where extnamespace in HERE
    union all
    select 'the operator', oprname from pg_operator where oprnamespace in HERE
    union all
    select 'the collation', collname from pg_collation where collnamespace in HERE"""

_SEQUENCE_OPTIONS: Final = """format(
    'increment by %s minvalue %s maxvalue %s start with %s cache %s'
    || case when seqcycle then ' cycle' else '' end,
    seqincrement, seqmin, seqmax, seqstart, seqcache)"""
# Those of identity columns come with their tables.
SEQUENCES: Final = f"""
    select format('create sequence %s as %s %s', {_Q}, format_type(seqtypid, null),
                  {_SEQUENCE_OPTIONS})
    from pg_sequence inner join pg_class as o on o.oid = seqrelid
    inner join pg_namespace as n on n.oid = relnamespace
    where relnamespace in HERE and not exists (select 1 from pg_depend
        where classid = 'pg_class'::regclass and objid = seqrelid and deptype = 'i')
    order by 1"""

FUNCTIONS: Final = """
    select pg_get_functiondef(oid) from pg_proc
    where pronamespace in HERE and prokind in ('f', 'p') order by oid"""

_COLUMN: Final = """format('%I %s', attname, format_type(atttypid, atttypmod))
    || case when attcollation <> typcollation and attcollation <> 0
            then (select format(' collate %I.%I', nspname, collname) from pg_collation
                  inner join pg_namespace on pg_namespace.oid = collnamespace
                  where pg_collation.oid = attcollation) else '' end
    || case when attidentity <> '' then
            format(' generated %s as identity (sequence name %s %s)',
                   case attidentity when 'a' then 'always' else 'by default' end,
                   format('%I.%I', seq.nspname, seq.relname), seq.options)
        when attgenerated = 's' then format(' generated always as (%s) stored',
                                            pg_get_expr(adbin, adrelid))
        when attgenerated = 'v' then format(' generated always as (%s) virtual',
                                            pg_get_expr(adbin, adrelid))
        when adbin is not null then ' default ' || pg_get_expr(adbin, adrelid)
        else '' end
    || case when attnotnull then ' not null' else '' end"""
_WITH: Final = """coalesce(' with (' || (select string_agg(option, ', ' order by nth)
    from unnest(o.reloptions) with ordinality as options(option, nth)) || ')', '')"""
TABLES: Final = f"""
    select format('create %stable %s (%s)%s%s',
        case relpersistence when 'u' then 'unlogged ' else '' end, {_Q},
        (select string_agg({_COLUMN}, ', ' order by attnum)
         from pg_attribute inner join pg_type on pg_type.oid = atttypid
         left join pg_attrdef on adrelid = attrelid and adnum = attnum
         left join (select d.refobjid, d.refobjsubid, s.relname, sn.nspname,
                           {_SEQUENCE_OPTIONS} as options
                    from pg_depend as d inner join pg_class as s on s.oid = d.objid
                    inner join pg_namespace as sn on sn.oid = s.relnamespace
                    inner join pg_sequence on seqrelid = s.oid
                    where d.classid = 'pg_class'::regclass and d.deptype = 'i') as seq
            on seq.refobjid = attrelid and seq.refobjsubid = attnum
         where attrelid = o.oid and attnum > 0 and not attisdropped),
        case relkind when 'p' then ' partition by ' || pg_get_partkeydef(o.oid) else '' end,
        case relkind when 'p' then '' else {_WITH} end)
    from pg_class as o inner join pg_namespace as n on n.oid = relnamespace
    where relnamespace in HERE and relkind in ('r', 'p') order by o.oid"""

VIEWS: Final = f"""
    select format('create %sview %s%s as %s%s',
        case relkind when 'm' then 'materialized ' else '' end, {_Q}, {_WITH},
        rtrim(pg_get_viewdef(o.oid), ';'),
        case relkind when 'm' then ' with no data' else '' end)
    from pg_class as o inner join pg_namespace as n on n.oid = relnamespace
    where relnamespace in HERE and relkind in ('v', 'm') order by o.oid"""

TABLES_WITH_ROWS: Final = """
    select nspname, relname, coalesce((select array_agg(attname::text order by attnum)
        from pg_attribute where attrelid = o.oid and attnum > 0 and not attisdropped
            and attgenerated = ''), '{}')
    from pg_class as o inner join pg_namespace as n on n.oid = relnamespace
    where relnamespace in HERE and relkind = 'r' order by nspname, relname"""

FINISHING: Final = (
    # Where sequences stand, and whose they are.
    f"""select format('select pg_catalog.setval(%L, %s, true)', {_Q}, last_value)
        from pg_sequences as s inner join pg_namespace as n on n.nspname = schemaname
        inner join pg_class as o on relnamespace = n.oid and relname = sequencename
        where relnamespace in HERE and last_value is not null order by 1""",
    f"""select format('alter sequence %s owned by %s.%I', {_Q}, refobjid::regclass, attname)
        from pg_depend inner join pg_class as o on o.oid = objid
        inner join pg_namespace as n on n.oid = relnamespace
        inner join pg_attribute on attrelid = refobjid and attnum = refobjsubid
        where relnamespace in HERE and relkind = 'S' and deptype = 'a'
            and classid = 'pg_class'::regclass order by 1""",
    f"""select format('alter table only %s attach partition %s %s', inhparent::regclass, {_Q},
                      pg_get_expr(relpartbound, o.oid))
        from pg_class as o inner join pg_namespace as n on n.oid = relnamespace
        inner join pg_inherits on inhrelid = o.oid
        where relnamespace in HERE and relispartition and relkind in ('r', 'p') order by o.oid""",
    # Foreign keys last: what they refer to must be unique by then.
    f"""select format('alter table %s add constraint %I %s', {_Q}, conname,
                      pg_get_constraintdef(c.oid))
        from pg_constraint as c inner join pg_class as o on o.oid = conrelid
        inner join pg_namespace as n on n.oid = relnamespace
        where relnamespace in HERE and contype in ('p', 'u', 'x', 'c', 'f') and conparentid = 0
            and conislocal order by contype = 'f', 1""",
    f"""select format('refresh materialized view %s', {_Q})
        from pg_class as o inner join pg_namespace as n on n.oid = relnamespace
        where relnamespace in HERE and relkind = 'm' order by o.oid""",
    # An index of a partitioned table makes those of its partitions.
    """select replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
        from pg_index inner join pg_class as o on o.oid = indexrelid
        where relnamespace in HERE and not relispartition and not exists
            (select 1 from pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x'))
        order by 1""",
    """select pg_get_statisticsobjdef(oid) from pg_statistic_ext
        where stxnamespace in HERE order by 1""",
    f"""select format('alter table %s alter column %I set statistics %s', {_Q}, attname,
                      attstattarget)
        from pg_attribute inner join pg_class as o on o.oid = attrelid
        inner join pg_namespace as n on n.oid = relnamespace
        where relnamespace in HERE and relkind in ('r', 'p') and attnum > 0
            and attstattarget >= 0 order by 1""",
    """select pg_get_triggerdef(t.oid) from pg_trigger as t
        inner join pg_class as o on o.oid = tgrelid
        where relnamespace in HERE and not tgisinternal and tgparentid = 0 order by 1""",
    f"""select format('alter table %s enable row level security', {_Q})
        from pg_class as o inner join pg_namespace as n on n.oid = relnamespace
        where relnamespace in HERE and relrowsecurity order by 1""",
    f"""select format('alter table %s force row level security', {_Q})
        from pg_class as o inner join pg_namespace as n on n.oid = relnamespace
        where relnamespace in HERE and relforcerowsecurity order by 1""",
    """select format('comment on schema %I is %L', nspname, description)
        from pg_description inner join pg_namespace as n on n.oid = objoid
        where classoid = 'pg_namespace'::regclass and n.oid in HERE order by 1""",
    f"""select case when objsubid > 0
                    then format('comment on column %s.%I is %L', {_Q}, attname, description)
                    else format('comment on %s %s is %L', case relkind when 'v' then 'view'
                        when 'm' then 'materialized view' when 'S' then 'sequence'
                        when 'i' then 'index' when 'I' then 'index' else 'table' end,
                        {_Q}, description) end
        from pg_description inner join pg_class as o on o.oid = objoid
        inner join pg_namespace as n on n.oid = relnamespace
        left join pg_attribute on attrelid = o.oid and attnum = objsubid and objsubid > 0
        where classoid = 'pg_class'::regclass and relnamespace in HERE order by 1""",
    """select format('comment on %s %s is %L', case prokind when 'p' then 'procedure'
                      else 'function' end, p.oid::regprocedure, description)
        from pg_description inner join pg_proc as p on p.oid = objoid
        where classoid = 'pg_proc'::regclass and pronamespace in HERE order by 1""",
)

_ROLE: Final = "case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end"
_OPTION: Final = "case when is_grantable then ' with grant option' else '' end"
_RELATION: Final = "case relkind when 'S' then 'sequence ' else '' end"

RIGHTS: Final = (
    f"""select format('grant %s on schema %I to %s%s', privilege_type, nspname, {_ROLE},
                               {_OPTION})
        from pg_namespace as n, aclexplode(nspacl)
        where n.oid in HERE and grantee <> nspowner order by 1""",
    f"""select format('grant %s on %s%s to %s%s', privilege_type, {_RELATION}, {_Q},
                               {_ROLE}, {_OPTION})
        from pg_class as o inner join pg_namespace as n on n.oid = relnamespace,
            aclexplode(relacl)
        where relnamespace in HERE and grantee <> relowner order by 1""",
    f"""select format('grant %s (%I) on %s to %s%s', privilege_type, attname, {_Q},
                               {_ROLE}, {_OPTION})
        from pg_attribute inner join pg_class as o on o.oid = attrelid
        inner join pg_namespace as n on n.oid = relnamespace, aclexplode(attacl)
        where relnamespace in HERE and grantee <> relowner order by 1""",
    # Anybody may call a function unless that was taken back.
    """select format('revoke all on routine %s from public', oid::regprocedure)
        from pg_proc where pronamespace in HERE and proacl is not null order by 1""",
    f"""select format('grant %s on routine %s to %s%s', privilege_type,
                               pg_proc.oid::regprocedure, {_ROLE}, {_OPTION})
        from pg_proc, aclexplode(proacl)
        where pronamespace in HERE and grantee <> proowner order by 1""",
    f"""select format('alter default privileges for role %I in schema %I grant %s on %s'
                               || ' to %s%s', pg_get_userbyid(defaclrole), nspname, privilege_type,
                               case defaclobjtype when 'S' then 'sequences' when 'T' then 'types'
                                    when 'f' then 'functions' else 'tables' end, {_ROLE}, {_OPTION})
        from pg_default_acl inner join pg_namespace as n on n.oid = defaclnamespace,
            aclexplode(defaclacl)
        where defaclnamespace in HERE and grantee <> defaclrole order by 1""",
    f"""select format('create policy %I on %s as %s for %s to %s', polname, {_Q},
                case when polpermissive then 'permissive' else 'restrictive' end,
                case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                    when 'd' then 'delete' else 'all' end,
                (select string_agg(case role when 0 then 'public'
                    else quote_ident(pg_get_userbyid(role)) end, ', ')
                 from unnest(polroles) as role))
            || coalesce(' using (' || pg_get_expr(polqual, polrelid) || ')', '')
            || coalesce(' with check (' || pg_get_expr(polwithcheck, polrelid) || ')', '')
        from pg_policy inner join pg_class as o on o.oid = polrelid
        inner join pg_namespace as n on n.oid = relnamespace
        where relnamespace in HERE order by 1""",
    # A view reads with the rights of whom it belongs to.
    f"""select format('alter %s %s owner to %I', case relkind
                when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                else 'table' end, {_Q}, pg_get_userbyid(relowner))
        from pg_class as o inner join pg_namespace as n on n.oid = relnamespace
        where relnamespace in HERE and relkind in ('r', 'p', 'v', 'm')
            and pg_get_userbyid(relowner) <> current_user order by 1""",
    """select format('alter routine %s owner to %I', oid::regprocedure,
                pg_get_userbyid(proowner))
        from pg_proc where pronamespace in HERE and pg_get_userbyid(proowner) <> current_user
        order by 1""",
)

# Views of others that read ours.
DEPENDENTS: Final = f"""
    select distinct {_Q} from pg_depend as d
    inner join pg_rewrite as r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
    inner join pg_class as o on o.oid = r.ev_class
    inner join pg_namespace as n on n.oid = o.relnamespace
    inner join pg_class as read on read.oid = d.refobjid
        and d.refclassid = 'pg_class'::regclass
    where read.relnamespace in HERE and o.relnamespace not in HERE order by 1"""
