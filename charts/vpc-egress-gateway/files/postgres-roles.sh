# Sourced by the image at the first start, with an empty volume. The passwords go from files to psql: no argv has one.
psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" <<'SQL'
\set owner `cat /etc/veg/postgres/owner`
\set planner `cat /etc/veg/postgres/planner`
\set reader `cat /etc/veg/postgres/reader`
create role veg_owner login password :'owner';
create role veg_planner login password :'planner';
create role veg_reader login password :'reader';
create database veg owner veg_owner;
SQL
