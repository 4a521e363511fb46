# shellcheck shell=bash

redis_port() { # NAME
  case $1 in
    redis-1) printf '%s' "$REDIS_1_PORT" ;;
    redis-2) printf '%s' "$REDIS_2_PORT" ;;
    redis-3) printf '%s' "$REDIS_3_PORT" ;;
  esac
}

start_redis() { # NAME
  local port
  port=$(redis_port "$1")
  as_component "$1"
  spawn "$1" "$DATA/$1" "${AS[@]}" env -i PATH="$PATH" LC_ALL=C redis-server --bind 127.0.0.1 --protected-mode yes --port "$port" \
    --daemonize no --save '' --appendonly no --dir "$DATA/$1" --maxmemory 256mb --maxmemory-policy noeviction
  wait_ready "$1" "$SPAWNED" 15 ready_redis "$1"
}

ready_redis() { # NAME
  local answer
  answer=$(
    exec 2>/dev/null
    exec 3<>"/dev/tcp/127.0.0.1/$(redis_port "$1")" || exit 0
    printf 'PING\r\n' >&3
    read -r -t 2 line <&3 && printf '%s' "$line"
  ) || true
  [[ $answer == +PONG* ]]
}
