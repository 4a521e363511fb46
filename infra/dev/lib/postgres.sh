# shellcheck shell=bash

# What the schema and our settings need (client_connection_check_interval, the role pg_database_owner).
OLDEST_POSTGRES=14

# The program must be of the data's major version.
postgres_bin() {
  local bin version='' major
  if [[ -n $DATA && -r $DATA/postgres/pgdata/PG_VERSION ]]; then version=$(<"$DATA/postgres/pgdata/PG_VERSION"); fi
  while IFS= read -r bin; do
    major=$("$bin/postgres" --version)
    major=${major##*PostgreSQL) }
    major=${major%%[!0-9]*}
    if [[ $major == "$version" ]] || { [[ -z $version ]] && ((major >= OLDEST_POSTGRES)); }; then
      printf '%s\n' "$bin"
      return 0
    fi
  done < <(postgres_bins)
  [[ -n $version ]] || die "PostgreSQL $OLDEST_POSTGRES or newer is needed; here are only: $(postgres_bins | sort -u | tr '\n' ' ')"
  die "the data in $DATA/postgres needs PostgreSQL $version; to start afresh: infra/dev/servers down --clean --dir $DIR"
}

# Everything happens in pgdata.new, which becomes pgdata when it is complete: an interrupted start leaves nothing half-made.
init_postgres() {
  local home=$DATA/postgres bin locale=C
  bin=$(postgres_bin) || return 1
  as_component postgres
  rm -rf "$home/pgdata.new"
  if locale -a 2>/dev/null | grep -qiE '^C\.utf-?8$'; then locale=C.UTF-8; fi
  say "postgres: creating the database cluster"
  {
    "${AS[@]}" env -i PATH="$PATH" LC_ALL="$locale" "$bin/initdb" -D "$home/pgdata.new" -U postgres -A trust -E UTF8 \
      --locale="$locale" --data-checksums
    # Replaced before anything listens; initdb itself would need the password in a file.
    printf '%s\n' 'local all all scram-sha-256' 'host all all 127.0.0.1/32 scram-sha-256' |
      "${AS[@]}" tee "$home/pgdata.new/pg_hba.conf"
    printf "include 'amrutam.conf'\n" | "${AS[@]}" tee -a "$home/pgdata.new/postgresql.conf"
    copy_postgres_conf "$home/pgdata.new"
    # Single-user mode takes one statement per line. PostgreSQL 16 lets an owner manage a role only with ADMIN OPTION,
    # and 14 gives the public schema to the superuser.
    "${AS[@]}" env -i PATH="$PATH" LC_ALL="$locale" "$bin/postgres" --single -D "$home/pgdata.new" -c exit_on_error=true template1 <<SQL
ALTER ROLE postgres PASSWORD '$POSTGRES_PASSWORD'
ALTER SCHEMA public OWNER TO pg_database_owner
CREATE ROLE amrutam_owner LOGIN CREATEDB CREATEROLE PASSWORD '$OWNER_PASSWORD'
CREATE ROLE amrutam_app LOGIN PASSWORD '$APP_PASSWORD'
CREATE ROLE amrutam_reader LOGIN PASSWORD '$READER_PASSWORD'
GRANT amrutam_app, amrutam_reader TO amrutam_owner WITH ADMIN OPTION
CREATE DATABASE amrutam OWNER amrutam_owner
SQL
  } >"$DIR/log/postgres-init.log" 2>&1 || {
    tail -n 15 "$DIR/log/postgres-init.log" >&2
    say "postgres: cannot create the database cluster ($DIR/log/postgres-init.log)"
    return 1
  }
  mv "$home/pgdata.new" "$home/pgdata"
}

copy_postgres_conf() { # PGDATA
  "${AS[@]}" tee "$1/amrutam.conf" <"$HERE/conf/postgresql.conf" >/dev/null
}

start_postgres() {
  local pgdata=$DATA/postgres/pgdata bin socket=$DATA/postgres
  if [[ ! -d $pgdata ]]; then init_postgres || return 1; fi
  bin=$(postgres_bin) || return 1
  as_component postgres
  # No process of ours is left here, so these are stale; but PostgreSQL believes them when their pid is still a zombie
  # or somebody else's by now.
  rm -f "$pgdata/postmaster.pid" "$DATA/postgres/".s.PGSQL.*
  copy_postgres_conf "$pgdata"
  # The kernel's limit for a socket's path is 107 bytes.
  if ((${#socket} > 85)); then socket=''; fi
  spawn postgres "$DATA/postgres" "${AS[@]}" env -i PATH="$PATH" LC_ALL=C "$bin/postgres" -D "$pgdata" -c "port=$POSTGRES_PORT" \
    -c listen_addresses=127.0.0.1 -c "unix_socket_directories=$socket"
  # After kill -9 it first replays its log, which can take 20 s.
  wait_ready postgres "$SPAWNED" 60 ready_postgres
}

ready_postgres() {
  "$(postgres_bin)/pg_isready" -q -h 127.0.0.1 -p "$POSTGRES_PORT" -t 2
}
