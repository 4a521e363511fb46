# shellcheck shell=bash
# Shared by infra/dev/servers and infra/dev/stack. The caller sets ROOT.

# Below Linux's ephemeral range, so that an outgoing connection never takes a kept port.
PORT_LOW=20000
PORT_HIGH=32000

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

now_ms() { printf '%s' "$((${EPOCHREALTIME//[!0-9]/} / 1000))"; }

random_hex() { od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# Stdin to a file only its owner can read, replaced whole or not at all.
write_private() {
  local target=$1 temporary="$1.$BASHPID.new"
  (umask 077 && cat >"$temporary")
  mv -f "$temporary" "$target"
}

# KEY=VALUE that a shell's `source` and a dotenv reader understand alike.
env_line() {
  if [[ $2 =~ ^[A-Za-z0-9_./:@%,?=+-]*$ ]]; then
    printf '%s=%s\n' "$1" "$2"
  else
    printf "%s='%s'\n" "$1" "${2//\'/}"
  fi
}

env_value() { # FILE KEY
  local line
  [[ -r $1 ]] || return 0
  while IFS= read -r line; do
    if [[ $line == "$2="* ]]; then
      line=${line#*=}
      if [[ $line == \'*\' || $line == \"*\" ]]; then line=${line:1:-1}; fi
      printf '%s' "$line"
      return 0
    fi
  done <"$1"
}

# Sets each NAME to its value in FILE, or to nothing.
load_values() { # FILE NAME...
  local file=$1 name
  shift
  for name in "$@"; do printf -v "$name" '%s' "$(env_value "$file" "$name")"; done
}

# Sets DIR, absolute. Relative names start at the repository's root, whatever the working directory is: cargo runs
# tests in their package's directory.
find_dir() {
  DIR=${1:-${AMRUTAM_DEV_DIR:-.dev}}
  [[ $DIR == /* ]] || DIR=$ROOT/$DIR
  if [[ -d $DIR ]]; then
    DIR=$(cd "$DIR" && pwd -P)
    [[ -O $DIR ]] || die "$DIR belongs to another user; choose another with --dir or AMRUTAM_DEV_DIR"
  fi
}

make_dir() {
  if [[ ! -d $DIR ]]; then
    (umask 022 && mkdir -p "$DIR") || die "cannot create $DIR"
    find_dir "$DIR"
  fi
  mkdir -p "$DIR/run" "$DIR/log"
  # A statement that fails is logged whole, and may hold a password.
  chmod 700 "$DIR/log"
}

take_lock() { # FILE
  exec {LOCK_FD}>"$1"
  flock -w 300 "$LOCK_FD" || die "another command has held $1 for five minutes"
}

# One line per listening TCP port, in hexadecimal as the kernel prints it.
listening_ports() { awk '$4 == "0A" { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null || true; }
used_ports() { awk 'FNR > 1 { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null || true; }

port_is_taken() { # PORT
  local hex
  printf -v hex '%04X' "$1"
  [[ $'\n'$(listening_ports)$'\n' == *$'\n'"$hex"$'\n'* ]]
}

# Prints a port nobody uses; the arguments are ports promised to others.
choose_port() {
  local used port hex attempt
  used=$'\n'$(used_ports)$'\n'
  for ((attempt = 0; attempt < 1000; attempt++)); do
    port=$((PORT_LOW + (RANDOM * 32768 + RANDOM) % (PORT_HIGH - PORT_LOW)))
    printf -v hex '%04X' "$port"
    if [[ $used != *$'\n'"$hex"$'\n'* && " $* " != *" $port "* ]]; then
      printf '%s' "$port"
      return 0
    fi
  done
  die "found no free port between $PORT_LOW and $PORT_HIGH"
}

# Gives the components' ports a value, and keeps each that is free; components that run are not in the list. The caller has
# PORT_NAMES and ports_of, which prints the names of a component's ports.
make_ports() { # FILE COMPONENT...
  local file=$1 name port changed=0
  local -a promised
  shift
  for name in "$@"; do
    for port in $(ports_of "$name"); do
      if [[ -z ${!port} ]] || port_is_taken "${!port}"; then
        promised=()
        for name in "${PORT_NAMES[@]}"; do promised+=("${!name}"); done
        printf -v "$port" '%s' "$(choose_port "${promised[@]}")"
        changed=1
      fi
    done
  done
  ((changed)) || return 0
  for name in "${PORT_NAMES[@]}"; do
    if [[ -n ${!name} ]]; then printf '%s=%s\n' "$name" "${!name}"; fi
  done | write_private "$file"
}

process_state() { # PID -> the kernel's letter, nothing if there is no such process
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
  stat=${stat##*) }
  printf '%s' "${stat%% *}"
}

# In a container a dead process may stay a zombie for ever: nobody reaps it.
is_alive() {
  local state
  state=$(process_state "$1")
  [[ -n $state && $state != Z && $state != X ]]
}

# spawn NAME WORKDIR COMMAND...: starts a daemon that holds none of our descriptors (the lock, a caller's pipe) and
# survives our terminal. Its pid goes to DIR/run/NAME.pid.
spawn() {
  local name=$1 workdir=$2 log="$DIR/log/$1.log"
  shift 2
  if [[ -f $log && $(stat -c %s "$log") -gt 20000000 ]]; then mv -f "$log" "$log.1"; fi
  (
    exec </dev/null >>"$log" 2>&1
    for descriptor in "/proc/$BASHPID/fd/"*; do
      descriptor=${descriptor##*/}
      # 255 is bash's own script, closed by exec.
      if ((descriptor > 2 && descriptor != 255)); then eval "exec $descriptor>&-"; fi
    done
    cd "$workdir" || exit 1
    exec setsid "$@"
  ) &
  SPAWNED=$!
  printf '%s\n' "$SPAWNED" >"$DIR/run/$name.pid"
}

# end_process PID SIGNAL TENTHS: asks, waits, then kills. The caller has checked that PID is ours.
end_process() {
  local pid=$1 signal=$2 tenths=$3
  # A frozen process acts on a signal only once it runs again.
  kill "-$signal" "$pid" 2>/dev/null || true
  kill -CONT "$pid" 2>/dev/null || true
  wait_gone "$pid" "$tenths" && return 0
  kill -KILL "$pid" 2>/dev/null || true
  wait_gone "$pid" 50 || die "process $pid does not end"
}

wait_gone() { # PID TENTHS
  local pid=$1 left=$(($2 * 2))
  while is_alive "$pid"; do
    ((left-- > 0)) || return 1
    sleep 0.05
  done
}

# wait_ready NAME PID SECONDS CHECK...: until CHECK succeeds; fails as soon as the process is gone. It must be there after the
# check, too: a stranger may have taken the port and answer in its place.
wait_ready() {
  local name=$1 pid=$2 deadline=$((SECONDS + $3))
  shift 3
  until "$@" && is_alive "$pid"; do
    if ! is_alive "$pid"; then
      say "$name ended while starting; the last lines of $DIR/log/$name.log:"
      tail -n 15 "$DIR/log/$name.log" >&2 || true
      return 1
    fi
    if ((SECONDS > deadline)); then
      say "$name is not ready in time; the last lines of $DIR/log/$name.log:"
      tail -n 15 "$DIR/log/$name.log" >&2 || true
      return 1
    fi
    sleep 0.1
  done
}

# http_ok URL: the answer is 200. Without curl, which a fresh machine may lack.
http_ok() {
  local rest=${1#http://} host port path status
  path=/${rest#*/}
  host=${rest%%/*}
  port=${host##*:}
  host=${host%%:*}
  status=$(
    exec 2>/dev/null
    exec 3<>"/dev/tcp/$host/$port" || exit 0
    printf 'GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$path" "$host" "$port" >&3
    read -r -t 3 _ code _ <&3 && printf '%s' "$code"
  ) || true
  [[ $status == 200 ]]
}
