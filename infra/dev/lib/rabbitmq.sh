# shellcheck shell=bash
# The broker's Erlang node has its own port mapper (epmd), started before it and stopped after it: one that the broker
# or rabbitmqctl starts by itself would outlive both.

start_epmd() {
  as_component epmd
  spawn epmd "$DATA/epmd" "${AS[@]}" env -i PATH="$PATH" HOME="$DATA/epmd" "$(epmd_bin)" -port "$EPMD_PORT" -address 127.0.0.1
  wait_ready epmd "$SPAWNED" 10 port_is_taken "$EPMD_PORT"
}

ready_epmd() { port_is_taken "$EPMD_PORT"; }

# Fills RABBITMQ_ENV: no setting comes from /etc or from our caller.
rabbitmq_env() {
  local home=$DATA/rabbitmq
  RABBITMQ_ENV=(
    env -i "PATH=$PATH" LC_ALL=C.UTF-8 "HOME=$home"
    RABBITMQ_NODENAME=amrutam@localhost
    "RABBITMQ_DIST_PORT=$RABBITMQ_DIST_PORT"
    "ERL_EPMD_PORT=$EPMD_PORT" ERL_EPMD_ADDRESS=127.0.0.1
    "RABBITMQ_MNESIA_BASE=$home/mnesia" "RABBITMQ_LOG_BASE=$home/log" RABBITMQ_LOGS=-
    "RABBITMQ_PID_FILE=$home/rabbitmq.pid" "RABBITMQ_ENABLED_PLUGINS_FILE=$home/enabled_plugins"
    "RABBITMQ_CONFIG_FILE=$home/rabbitmq.conf" "RABBITMQ_CONF_ENV_FILE=$home/rabbitmq-env.conf"
    "RABBITMQ_ADVANCED_CONFIG_FILE=$home/advanced.config"
  )
}

configure_rabbitmq() {
  local home=$DATA/rabbitmq
  # Erlang insists on a cookie only its owner can read.
  # shellcheck disable=SC2016 # the inner shell expands
  printf '%s' "$RABBITMQ_COOKIE" | "${AS[@]}" sh -c 'umask 077; rm -f "$1"; cat >"$1"; chmod 400 "$1"' sh "$home/.erlang.cookie"
  printf '[].\n' | "${AS[@]}" tee "$home/enabled_plugins" >/dev/null
  printf '[].\n' | "${AS[@]}" tee "$home/advanced.config" >/dev/null
  "${AS[@]}" tee "$home/rabbitmq-env.conf" </dev/null >/dev/null
  # shellcheck disable=SC2016 # the inner shell expands
  "${AS[@]}" sh -c 'umask 077; cat >"$1"' sh "$home/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$RABBITMQ_PORT
default_user = amrutam
default_pass = $RABBITMQ_PASSWORD
log.file = false
log.console = true
log.console.level = info
CONF
}

write_rabbitmqctl() {
  local bin
  bin=$(rabbitmq_bin)
  {
    printf '#!/usr/bin/env bash\n# Written by infra/dev/servers: rabbitmqctl for the private broker of this directory.\n'
    printf 'cd %q\n' "$DATA/rabbitmq"
    # The CLI, too, listens: on loopback, and without starting an epmd of its own.
    printf 'exec'
    printf ' %q' "${AS[@]}" "${RABBITMQ_ENV[@]}" \
      'RABBITMQ_CTL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false' "$bin/rabbitmqctl"
    # shellcheck disable=SC2016
    printf ' "$@"\n'
  } | write_private "$DIR/rabbitmqctl"
  chmod 700 "$DIR/rabbitmqctl"
}

start_rabbitmq() {
  local home=$DATA/rabbitmq
  as_component rabbitmq
  rabbitmq_env
  # Written after the first complete boot: before it, the tables may exist without the user.
  if [[ ! -f $DATA/rabbitmq.initialized ]]; then rm -rf "$home/mnesia"; fi
  configure_rabbitmq
  write_rabbitmqctl
  # ALLOW_INPUT makes the script exec the broker, so the pid we know is the broker's. Schedulers that spin while idle
  # would take the CPU from everybody else on a small machine.
  spawn rabbitmq "$home" "${AS[@]}" "${RABBITMQ_ENV[@]}" RABBITMQ_ALLOW_INPUT=1 \
    'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none' \
    "$(rabbitmq_bin)/rabbitmq-server"
  wait_ready rabbitmq "$SPAWNED" 120 ready_rabbitmq || return 1
  touch "$DATA/rabbitmq.initialized"
}

# A broker that answers the protocol header with connection.start has finished booting: its listeners come last.
# After its port mapper was restarted it needs some seconds until rabbitmqctl finds it again.
ready_rabbitmq() {
  local answer
  answer=$(
    exec 2>/dev/null
    exec 3<>"/dev/tcp/127.0.0.1/$RABBITMQ_PORT" || exit 0
    printf 'AMQP\0\0\x09\x01' >&3
    IFS= read -r -t 3 -N 1 byte <&3 && printf '%d' "'$byte"
  ) || true
  [[ $answer == 1 ]] && [[ $(ERL_EPMD_ADDRESS=127.0.0.1 "$(epmd_bin)" -port "$EPMD_PORT" -names 2>/dev/null) == *'name amrutam at'* ]]
}
