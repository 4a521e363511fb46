# shellcheck shell=bash
# Finds the servers' programs, and installs what is missing where that is allowed.

# Newest first; data of an older major version needs its own program, see postgres_bin.
postgres_bins() {
  local candidate
  {
    for candidate in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
      if [[ -x $candidate/postgres && -x $candidate/initdb ]]; then printf '%s\n' "$candidate"; fi
    done
  } | sort -rV
  if candidate=$(command -v initdb); then dirname "$(readlink -f "$candidate")"; fi
}

rabbitmq_bin() {
  local candidate
  # Not /usr/sbin/rabbitmq-server: that one changes directory and user.
  for candidate in /usr/lib/rabbitmq/bin /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin /opt/rabbitmq/sbin; do
    if [[ -x $candidate/rabbitmq-server ]]; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}

epmd_bin() {
  command -v epmd && return 0
  local candidate
  for candidate in /usr/lib/erlang/erts-*/bin/epmd /usr/local/lib/erlang/erts-*/bin/epmd; do
    if [[ -x $candidate ]]; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}

# Prints the packages a kind lacks.
missing_packages() { # KIND
  case $1 in
    postgres) [[ -n $(postgres_bins) ]] || printf 'postgresql\n' ;;
    redis) command -v redis-server >/dev/null || printf 'redis-server\n' ;;
    rabbitmq) { rabbitmq_bin && epmd_bin; } >/dev/null || printf 'rabbitmq-server\n' ;;
    build)
      command -v cc >/dev/null || printf 'gcc\nlibc6-dev\n'
      command -v curl >/dev/null || printf 'curl\n'
      # Tests shake hands with it.
      command -v openssl >/dev/null || printf 'openssl\n'
      # Tests read documents with it.
      command -v pdftotext >/dev/null || printf 'poppler-utils\n'
      if ! command -v pkg-config >/dev/null; then
        printf 'pkg-config\nlibssl-dev\n'
      elif ! pkg-config --exists openssl; then
        printf 'libssl-dev\n'
      fi
      ;;
  esac
}

# The services that a package brings.
units_of() { # PACKAGE
  case $1 in
    postgresql) printf 'postgresql.service\n' ;;
    redis-server) printf 'redis-server.service\n' ;;
    rabbitmq-server) printf 'rabbitmq-server.service\nepmd.socket\nepmd.service\n' ;;
  esac
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

install_packages() { # KIND...
  local kind lock package unit
  local -a missing=() units=()
  for kind in "$@"; do
    while IFS= read -r package; do missing+=("$package"); done < <(missing_packages "$kind")
  done
  ((${#missing[@]})) || return 0

  local line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if ! command -v apt-get >/dev/null; then
    die "missing: ${missing[*]} (Debian's names). Install them with this system's package manager and try again."
  fi
  if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
    die "missing: ${missing[*]}. Run this as root, then try again:
  $line"
  fi

  say "installing ${missing[*]} ..."
  for package in "${missing[@]}"; do
    while IFS= read -r unit; do units+=("$unit"); done < <(units_of "$package")
  done
  lock=${TMPDIR:-/tmp}/amrutam-install-$EUID.lock
  if ! (
    exec 8>"$lock"
    flock -w 600 8
    # Packages start their services unless policy-rc.d says no; a developer's machine needs none of them.
    policy=/usr/sbin/policy-rc.d
    mark='# infra/dev of Amrutam, while it installs packages'
    # Also one of ours that an interrupted installation left behind.
    if [[ ! -e $policy ]] || grep -qxF "$mark" "$policy"; then
      trap 'as_root rm -f "$policy"' EXIT
      printf '#!/bin/sh\n%s\nexit 101\n' "$mark" | as_root tee "$policy" >/dev/null
      as_root chmod 755 "$policy"
    fi
    apt() {
      as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null
    }
    apt update || say "apt-get update failed; trying with the lists at hand"
    apt install -y --no-install-recommends "${missing[@]}" || exit 1
    # They are enabled for the next start of the machine all the same.
    if ((${#units[@]})) && command -v systemctl >/dev/null; then
      as_root systemctl disable "${units[@]}" || true
    fi
  ) >"$DIR/log/install.log" 2>&1; then
    tail -n 20 "$DIR/log/install.log" >&2
    die "installing failed (all of it is in $DIR/log/install.log). Run this as root, then try again:
  $line"
  fi
  if ((${#units[@]})) && command -v systemctl >/dev/null; then
    say "installed as programs only: ${units[*]} are disabled; to have one start with the machine: systemctl enable"
  fi
  for kind in "$@"; do
    [[ -z $(missing_packages "$kind") ]] || die "still missing for $kind after installing: $(missing_packages "$kind" | tr '\n' ' ')"
  done
}
