-- Each failover: which gateway pod was given up, when, why, and for how long its traffic was out at most.
-- In panic mode (docs/decisions/0015) no session was up any more, and all pods kept their traffic: nothing was given up, so
-- no bound can be told. If the pods were dead indeed, traffic was out until the first was back.
--   psql -f docs/sql/failovers.sql                                   (all)
--   psql -v gateway=default/gateway1 -f docs/sql/failovers.sql       (of one gateway)
\if :{?gateway} \else
select '' as gateway \gset
\endif

with down as (
    select position, id, data ->> 'gateway' as gateway, data ->> 'dst_ip' as address,
           data ->> 'status' as status, (data ->> 'at')::timestamptz as at
      from event
     where type = 'veg.ovn.session-changed.v1' and data ->> 'previous' = 'up' and data ->> 'status' not in ('up', '')
)
select to_char(d.at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') as down_at,
       d.gateway, d.address, pod.name as pod, pod.node,
       case when panic.began then 'no session was up any more: panic mode, traffic goes on to all pods'
            when pod.deleting then 'the pod was being deleted'
            when speaker.diagnostic = 'Control Detection Time Expired' then 'the pod heard OVN no longer either: link or node'
            when speaker.state is not null then 'the speaker said ' || speaker.state || ': ' || speaker.diagnostic
            when node.ready = 'false' then 'node ' || pod.node || ' is not ready'
            else 'OVN heard nothing of the pod any more' end as cause,
       session.detect_ms,
       round(extract(epoch from written.at - d.at) * 1000) as rows_written_ms,
       round(extract(epoch from moved.at - d.at) * 1000) as flows_ms,
       -- 200: from OVN's noticing to its word in the Northbound database, which is where the log begins.
       case when panic.began then null
            else session.detect_ms + 200 + round(extract(epoch from moved.at - d.at) * 1000) end
           as outage_at_most_ms,
       round(extract(epoch from back.at - d.at)::numeric, 1) as back_after_s
  from down d
  -- The pod as it was known then.
  left join lateral (
      select e.data -> 'object' ->> 'name' as name, e.data -> 'object' ->> 'node' as node,
             coalesce((e.data -> 'object' ->> 'deleting')::boolean, false) as deleting
        from event e
       where e.type = 'veg.k8s.object-changed.v1' and e.data -> 'object' ->> 'kind' = 'Pod'
         and e.data -> 'object' -> 'ips' ? d.address and e.position < d.position
         and e.data -> 'object' ->> 'namespace' = split_part(d.gateway, '/', 1)
       order by e.position desc limit 1) pod on true
  left join lateral (
      select e.data -> 'object' ->> 'ready' as ready
        from event e
       where e.type = 'veg.k8s.object-changed.v1' and e.data -> 'object' ->> 'kind' = 'Node'
         and e.data -> 'object' ->> 'name' = pod.node and e.time < d.at + interval '10 seconds'
       order by e.position desc limit 1) node on true
  -- What the pod's own end said around that time, if it could say anything.
  left join lateral (
      select e.data ->> 'state' as state, e.data ->> 'diagnostic' as diagnostic
        from event e
       where e.type = 'veg.agent.speaker-changed.v1' and e.data ->> 'local' = d.address
         and e.data ->> 'previous' = 'Up'
         and (e.data ->> 'at')::timestamptz between d.at - interval '5 seconds' and d.at + interval '5 seconds'
       order by e.position limit 1) speaker on true
  -- How long a silence it takes, and whether static routes alone led there: by the intent that was in force.
  left join lateral (
      select (s ->> 'detect_mult')::int * (s ->> 'min_rx')::int as detect_ms,
             not exists (select from jsonb_array_elements(i.data -> 'nb' -> 'policies') p
                          where p -> 'nexthops' ? d.address) as by_route
        from intent i, jsonb_array_elements(i.data -> 'nb' -> 'sessions') s
       where i.gateway = d.gateway and i.position < d.position and s ->> 'dst_ip' = d.address
       order by i.position desc limit 1) session on true
  -- The command that took the pod out, and when the chassis had that; and when they had what OVN did by itself.
  left join lateral (
      select c.id from command c where c.causation_id = d.id and c.type = 'veg.ovn.ensure-nb.v1' limit 1) command on true
  left join lateral (
      select min(e.time) as at from event e
       where e.causation_id = command.id and e.type = 'veg.writer.command-applied.v1') written on true
  left join lateral (
      select min(e.time) as at from event e
       where e.causation_id = command.id and e.type = 'veg.ovn.rows-programmed.v1') rows on true
  left join lateral (
      select min(e.time) as at from event e
       where e.type = 'veg.ovn.session-programmed.v1' and e.data ->> 'gateway' = d.gateway
         and e.data ->> 'dst_ip' = d.address and (e.data ->> 'down_at')::timestamptz = d.at) flows on true
  -- Static routes OVN takes out by itself when the session is down, and lets in again in "init"; policies it leaves alone.
  cross join lateral (
      select case when session.by_route and d.status = 'down' and not exists (
                  select from event e
                   where e.type = 'veg.ovn.session-changed.v1' and e.data ->> 'gateway' = d.gateway
                     and e.data ->> 'dst_ip' = d.address and e.data ->> 'status' = 'init'
                     and e.position > d.position and e.time < rows.at)
             then coalesce(flows.at, rows.at) else coalesce(rows.at, flows.at) end as at) moved
  -- Whether the gateway panicked before traffic was elsewhere: what had gone to this pod then went nowhere better.
  cross join lateral (
      select exists (
                 select from intent i, event e, jsonb_array_elements(i.data -> 'status' -> 'conditions') c
                  where i.gateway = d.gateway and i.position >= d.position and e.position = i.position
                    and c ->> 'type' = 'Ready' and c ->> 'reason' = 'PanicMode'
                    and (i.position = d.position or e.time <= coalesce(moved.at, d.at + interval '10 seconds'))) as began) panic
  left join lateral (
      select min((e.data ->> 'at')::timestamptz) as at from event e
       where e.type = 'veg.ovn.session-changed.v1' and e.data ->> 'gateway' = d.gateway
         and e.data ->> 'dst_ip' = d.address and e.data ->> 'status' = 'up' and e.position > d.position) back on true
 where :'gateway' in ('', d.gateway)
 order by d.position;
