-- One change of a gateway on one screen: what set it off, what the planner ordered, what came of it, and when.
--   psql -v gateway=default/gateway1 -f docs/sql/change.sql
--   psql -v gateway=default/gateway1 -v position=42 -f docs/sql/change.sql    (the apply at that position of the log)
-- Without `gateway`: the gateway that was changed last. Without `position`: its last change. Every step in between, with
-- its ids and causes: story.sql.
\if :{?gateway} \else
select coalesce((select gateway from apply order by position desc limit 1), '') as gateway \gset
\endif
select case when position('/' in :'gateway') > 0 then '' else 'default/' end || :'gateway' as gateway \gset
\if :{?position} \else
select coalesce((select max(position) from apply where gateway = :'gateway'), 0) as position \gset
\endif

with said as (
    select s.position, s.rank, s.ordinal, s.time,
           case
               when s.type = 'veg.k8s.object-changed.v1' then 'watcher'
               when s.what in ('command', 'report') then 'planner'
               when s.type like 'veg.agent.%' then 'gw-agent'
               when s.type in ('veg.ovn.rows-programmed.v1', 'veg.ovn.session-changed.v1') then 'OVN'
               when s.what = 'outcome' and s.data ->> 'part' = 'nb' then 'ovn-writer'
               else 'kube-writer'
           end as who,
           case
               when s.type = 'veg.k8s.object-changed.v1' then
                   (s.data -> 'object' ->> 'kind') || ' ' || (s.data -> 'object' ->> 'name') || case s.data -> 'object' ->> 'kind'
                       when 'Pod' then ': ' || coalesce(nullif(s.data -> 'object' ->> 'phase', ''), 'Pending') || coalesce(
                           ' on ' || nullif(s.data -> 'object' ->> 'node', ''), ', no node yet')
                           || case when s.data -> 'object' ->> 'deleting' = 'true' then ', being deleted' else '' end
                       when 'Deployment' then ': ' || coalesce(s.data -> 'object' ->> 'available', '0') || ' of '
                           || coalesce(s.data -> 'object' ->> 'replicas_wanted', '0') || ' available'
                       else ' changed'
                   end
               when s.type = 'veg.ovn.session-changed.v1' then
                   'BFD session with ' || (s.data ->> 'dst_ip') || ' is ' || coalesce(nullif(s.data ->> 'status', ''), 'gone')
               when s.type = 'veg.ovn.rows-programmed.v1' then 'every chassis has the flows, silent ones aside'
               when s.type = 'veg.agent.config-applied.v1' then 'configured ' || (s.data ->> 'pod')
               when s.type = 'veg.agent.config-failed.v1' then 'failed in ' || (s.data ->> 'pod') || ': ' || (s.data ->> 'message')
               when s.what = 'command' then 'orders ' || regexp_replace(s.type, '^veg\.|\.v\d+$', '', 'g')
               when s.what = 'report' then 'the gateway is ready'
               else case s.data ->> 'part' when 'nb' then 'rows' else s.data ->> 'part' end || ' '
                    || regexp_replace(s.type, '^veg\.writer\.command-|\.v\d+$', '', 'g')
                    || coalesce(': ' || (s.data ->> 'message'), '')
           end as says
      from apply a
      join story s on s.gateway = a.gateway and s.position >= a.position and s.position < a.until
     where a.gateway = :'gateway' and a.position = :position
       and case s.what
               when 'intent' then false
               -- A report without anything that is awaited or refused.
               when 'report' then not exists (select from jsonb_array_elements(s.data -> 'steps') step
                                               where step ->> 'state' <> 'done')
               -- What only tells others of the progress says nothing here.
               when 'command' then s.type not in ('veg.kube.ensure-status.v1', 'veg.kube.record-event.v1')
               when 'outcome' then coalesce(s.data ->> 'part', '') not in ('status', 'event')
               else s.type in ('veg.k8s.object-changed.v1', 'veg.ovn.session-changed.v1')
           end
), numbered as (
    select *, row_number() over (order by position, rank, ordinal) as number, count(*) over () as rows,
           lag(says) over (order by position, rank, ordinal) is not distinct from says as again
      from said
)
-- A busy change is cut in its middle, not at its end.
select to_char(n.time at time zone 'UTC', 'HH24:MI:SS.MS') as time,
       to_char(extract(epoch from n.time - a.time), 'FM9990.000') as after_s, n.who,
       case when n.number = 15 and n.rows > 29 then '... ' || n.rows - 28 || ' steps are left out here: docs/sql/story.sql has them'
            else left(n.says, 78) end as "what happened"
  from numbered n, apply a
 where a.gateway = :'gateway' and a.position = :position
       and (n.number <= 14 or n.number > n.rows - 14 or n.number = 15) and (not n.again or n.number = 15)
 order by n.number;
