-- The story of one `kubectl apply`: everything that followed for one gateway until its next change by the user.
--   psql -v gateway=default/gateway1 -f docs/sql/story.sql
--   psql -v gateway=default/gateway1 -v position=42 -f docs/sql/story.sql    (the apply at that position of the log)
-- Without `gateway`: the gateway that was changed last. Without `position`: its last change.
\if :{?gateway} \else
select coalesce((select gateway from apply order by position desc limit 1), '') as gateway \gset
\endif
select case when position('/' in :'gateway') > 0 then '' else 'default/' end || :'gateway' as gateway \gset
\if :{?position} \else
select coalesce((select max(position) from apply where gateway = :'gateway'), 0) as position \gset
\endif

\echo Story of :gateway from position :position
select to_char(s.time at time zone 'UTC', 'HH24:MI:SS.MS') as time,
       round(extract(epoch from s.time - a.time), 3) as after_s,
       s.position as pos, s.what, s.generation::bigint as gen,
       left(case s.what
           when 'event' then regexp_replace(s.type, '^veg\.|\.v\d+$', '', 'g') || coalesce(
               ' ' || (s.data -> 'object' ->> 'kind') || ' ' || (s.data -> 'object' ->> 'name'),
               ' ' || (s.data ->> 'kind') || ' ' || (s.data ->> 'name'), ' ' || (s.data ->> 'reason'), '')
           when 'intent' then 'generation ' || s.generation || ' after ' || (s.data ->> 'parent')
           when 'report' then coalesce((select string_agg(step ->> 'state' || ': ' || (step ->> 'text'), '; ')
                                          from jsonb_array_elements(s.data -> 'steps') step
                                         where step ->> 'state' <> 'done'), 'all done')
           when 'command' then regexp_replace(s.type, '^veg\.|\.v\d+$', '', 'g')
           else regexp_replace(s.type, '^veg\.|\.v\d+$', '', 'g') || coalesce(' ' || (s.data ->> 'part'), '')
                || coalesce(' of ' || (s.data ->> 'pod'), '') || coalesce(': ' || (s.data ->> 'message'), '')
       end, 110) as says,
       s.id, s.causation_id as caused_by
  from apply a
  join story s on s.gateway = a.gateway and s.position >= a.position and s.position < a.until
 where a.gateway = :'gateway' and a.position = :position
 order by s.position, s.rank, s.ordinal;

\echo From the event to the commit in the Northbound database and to hv_cfg, for each change of rows
select c.generation as gen, k.type || coalesce(' ' || (k.data -> 'object' ->> 'kind') || ' '
           || (k.data -> 'object' ->> 'name'), '') as because_of,
       round(extract(epoch from c.time - k.time) * 1000, 1) as decided_ms,
       round(extract(epoch from c.relayed_at - k.time) * 1000, 1) as on_the_bus_ms,
       round(extract(epoch from n.time - k.time) * 1000, 1) as nb_commit_ms,
       round(extract(epoch from h.time - k.time) * 1000, 1) as hv_cfg_ms,
       round(extract(epoch from n.time - a.time) * 1000, 1) as nb_commit_after_apply_ms,
       round(extract(epoch from h.time - a.time) * 1000, 1) as hv_cfg_after_apply_ms
  from apply a
  join command c on c.gateway = a.gateway and c.position >= a.position and c.position < a.until
       and c.type = 'veg.ovn.ensure-nb.v1'
  join event k on k.id = c.causation_id
  left join lateral (select min(time) as time from event
                      where causation_id = c.id and type = 'veg.writer.command-applied.v1') n on true
  left join lateral (select min(time) as time from event
                      where causation_id = c.id and type = 'veg.ovn.rows-programmed.v1') h on true
 where a.gateway = :'gateway' and a.position = :position
 order by c.position, c.ordinal;
