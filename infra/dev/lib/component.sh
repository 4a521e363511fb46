# shellcheck shell=bash
# What all servers have in common: where their data is, as whom they run, which process is theirs.
#
# A component (postgres, redis-1, redis-2, redis-3, epmd, rabbitmq) has the directory DATA/NAME, which belongs to the
# account it runs as and is its working directory. A process is ours when its working directory is that directory;
# unlike the command line or the environment, servers do not overwrite that.

KINDS=(postgres redis rabbitmq)

components_of() { # KIND
  case $1 in
    postgres) printf 'postgres\n' ;;
    redis) printf 'redis-1\nredis-2\nredis-3\n' ;;
    rabbitmq) printf 'epmd\nrabbitmq\n' ;;
    *) die "unknown server: $1 (known: ${KINDS[*]})" ;;
  esac
}

kind_of() { # NAME
  case $1 in
    postgres) printf postgres ;;
    redis-[123]) printf redis ;;
    epmd | rabbitmq) printf rabbitmq ;;
    *) die "unknown server: $1 (known: postgres, rabbitmq, redis-1, redis-2, redis-3)" ;;
  esac
}

# PostgreSQL refuses to run as root, and the others have no reason to.
user_for() { # NAME
  local kind user
  if [[ -d $DATA/$1 ]]; then
    stat -c %U "$DATA/$1"
    return 0
  fi
  kind=$(kind_of "$1")
  for user in "$kind" nobody; do
    if id -u "$user" >/dev/null 2>&1; then
      printf '%s\n' "$user"
      return 0
    fi
  done
  die "running as root, and there is neither a user $kind nor nobody"
}

# Fills AS with the prefix that runs a command as the component's account.
as_component() { # NAME
  local user
  AS=()
  if ((EUID == 0)); then
    user=$(user_for "$1")
    AS=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --init-groups --)
  fi
}

# True if servers can keep their data below the directory: its path is plain enough for all of them (sockets, Erlang),
# other accounts can reach it when we are root, and the file system keeps owners and modes.
is_usable() { # DIRECTORY
  local probe good=0
  [[ $1 =~ ^[A-Za-z0-9_./-]+$ ]] || return 1
  probe=$(mktemp -d "$1/probe.XXXXXX") || return 1
  if ((EUID == 0)); then
    if chown nobody "$probe" 2>/dev/null && setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups -- test -w "$probe"; then good=1; fi
  else
    good=1
  fi
  chmod 750 "$probe"
  [[ $(stat -c %a "$probe") == 750 ]] || good=0
  rmdir "$probe"
  ((good))
}

# Sets DATA: DIR/data, or where a private directory elsewhere is linked from there. Nothing if there is none yet.
find_data() {
  DATA=
  if [[ -L $DIR/data ]]; then
    DATA=$(readlink "$DIR/data")
    # Gone (a cleaned /var/tmp), or the link was copied together with the tree and belongs to another one.
    if [[ ! -d $DATA || ! -O $DATA || $(cat "$DATA/of" 2>/dev/null) != "$DIR" ]]; then
      DATA=
      rm -f "$DIR/data"
    fi
  elif [[ -d $DIR/data ]]; then
    DATA=$DIR/data
  fi
}

make_data() {
  find_data
  [[ -z $DATA ]] || return 0
  if is_usable "$DIR"; then
    DATA=$DIR/data
    mkdir "$DATA"
  else
    DATA=$(mktemp -d /var/tmp/amrutam-dev.XXXXXXXX)
    ln -s "$DATA" "$DIR/data"
    say "servers cannot keep data below $DIR; it is in $DATA"
  fi
  printf '%s\n' "$DIR" >"$DATA/of"
  chmod 711 "$DATA"
}

make_component_dir() { # NAME
  local user
  [[ ! -d $DATA/$1 ]] || return 0
  if ((EUID == 0)); then user=$(user_for "$1"); fi
  mkdir "$DATA/$1"
  chmod 700 "$DATA/$1"
  if ((EUID == 0)); then chown "$user:$(id -g "$user")" "$DATA/$1"; fi
}

# Root in a container may not look into other accounts' processes, but those accounts may.
working_directory() { # NAME PID
  readlink "/proc/$2/cwd" 2>/dev/null && return 0
  as_component "$1"
  ((${#AS[@]})) && "${AS[@]}" readlink "/proc/$2/cwd" 2>/dev/null
}

is_ours() { # NAME PID
  local directory
  is_alive "$2" || return 1
  directory=$(working_directory "$1" "$2") || return 1
  # The kernel appends " (deleted)" when the directory is gone.
  [[ $directory == "$DATA/$1" || $directory == "$DATA/$1/"* || $directory == "$DATA/$1 "* ]]
}

# Sets PID of a running component; fails if it does not run.
component_pid() { # NAME
  PID=
  [[ -n $DATA && -f $DIR/run/$1.pid ]] || return 1
  local pid
  pid=$(<"$DIR/run/$1.pid")
  [[ $pid =~ ^[0-9]+$ ]] && is_ours "$1" "$pid" || return 1
  PID=$pid
}

# Kills what works in the component's directory without being known by a pid file: the children of a server that was
# killed, or one whose start was interrupted. A developer's shell that happens to stand there is left alone.
end_strays() { # NAME
  local pid program
  as_component "$1"
  for pid in $("${AS[@]}" find /proc -maxdepth 2 -name cwd \( -lname "$DATA/$1" -o -lname "$DATA/$1[/ ]*" \) -printf '%h\n' 2>/dev/null | tr -dc '0-9\n'); do
    program=$("${AS[@]}" readlink "/proc/$pid/exe" 2>/dev/null) || continue
    program=${program% (deleted)}
    case ${program##*/} in
      postgres | initdb | redis-* | valkey-* | beam* | epmd | erl_child_setup | inet_gethost)
        kill -KILL "$pid" 2>/dev/null || true
        wait_gone "$pid" 50 || die "process $pid does not end"
        ;;
    esac
  done
}

stop_component() { # NAME
  local signal=TERM tenths=50
  case $1 in
    # INT is PostgreSQL's "fast": TERM would wait for the clients to leave.
    postgres) signal=INT tenths=200 ;;
    rabbitmq) tenths=200 ;;
  esac
  if [[ -n $DATA && -d $DATA/$1 ]]; then
    if component_pid "$1"; then end_process "$PID" "$signal" "$tenths"; fi
    end_strays "$1"
  fi
  rm -f "$DIR/run/$1.pid"
}
