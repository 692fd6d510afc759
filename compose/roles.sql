-- Run once, at the first start of an empty volume: the roles that the migrations grant rights to, and our database. An error
-- must not write a statement with a password into the log.
\set owner_password `cat /run/secrets/postgres-owner-password`
\set planner_password `cat /run/secrets/postgres-planner-password`
\set reader_password `cat /run/secrets/postgres-reader-password`
set log_min_error_statement = panic;
create role veg_owner login password :'owner_password';
create role veg_planner login password :'planner_password';
create role veg_reader login password :'reader_password';
create database veg owner veg_owner encoding 'UTF8' locale 'C' template template0;
