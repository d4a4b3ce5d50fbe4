# Provides the servers that the tests and the benches run on, as far as this machine allows. tests/run and bench/run source
# this file. Before that they set `me`, the name of the script, and `they`, what needs the servers.

say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

# Says in plain words what the machine lacks, before cargo compiles anything.
give_up() {
  printf '\n%s: %s\n' "$me" "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 2
}

# Sets `target`, cargo's target folder, and `servers`, the folder below it for what this file provides.
find_folders() {
  command -v cargo >/dev/null || give_up "there is no cargo" "Install Rust: https://rustup.rs"
  target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  servers=$target/servers
  mkdir -p "$servers"
}

# Runs a command that ends with this process, even when somebody kills this process.
tied() { if "${tie[@]}" true 2>/dev/null; then "${tie[@]}" "$@"; else "$@"; fi; }
tie=(setpriv --pdeathsig KILL)

# The commands that need the rights of root.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# Whether this script can install packages: it needs Debian or Ubuntu, and root or sudo.
can_install() {
  command -v apt-get >/dev/null || return 1
  ((EUID == 0)) && return 0
  command -v sudo >/dev/null || return 1
  sudo -n true 2>/dev/null || [ -t 0 ]
}

install() {
  say "installing $*"
  local log=$servers/apt.log
  # RUNLEVEL=1: no init script starts the service at once.
  if ! { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    give_up "apt-get could not install $*" "its output: $log"
  fi
}

# $1 is a version of at least $2.
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

redis_version() { "$1" --version 2>/dev/null | sed -n 's/.*v=\([0-9.]*\).*/\1/p'; }

provide_redis() {
  local program=${KEFU_TEST_REDIS_SERVER:-} version
  if [ -z "$program" ]; then
    program=$(command -v redis-server || true)
    if [ -z "$program" ] && can_install; then
      install redis-server
      program=$(command -v redis-server || true)
    fi
  fi
  [ -n "$program" ] || give_up "there is no redis-server" \
    "Install Redis 7.0 or later so that redis-server is on the PATH, or name it in KEFU_TEST_REDIS_SERVER." \
    "On Debian or Ubuntu, $me installs it itself when run as root or by somebody who may use sudo."
  version=$(redis_version "$program")
  at_least "${version:-0}" 7.0 || give_up "$program is version ${version:-unknown}; $they need Redis 7.0 or later" \
    "Install a newer one, or name one in KEFU_TEST_REDIS_SERVER."
  export KEFU_TEST_REDIS_SERVER=$program
  say "Redis $version: $program"
}

# The folder of an installed rabbitmq-server. On Debian the program on the PATH is only a wrapper that changes the user.
installed_rabbitmq() {
  local folder
  for folder in "${KEFU_TEST_RABBITMQ_BIN:-}" /usr/lib/rabbitmq/bin; do
    [ -n "$folder" ] && [ -x "$folder/rabbitmq-server" ] && { echo "$folder"; return; }
  done
  folder=$(command -v rabbitmq-server) && dirname "$(readlink -f "$folder")"
}

# Reads the version from the names of files, because rabbitmqctl would leave a daemon behind, Erlang's epmd.
rabbitmq_version() {
  local file
  for file in "$1"/../plugins/rabbit-[0-9]* "$1"/../lib/rabbitmq_server-*/plugins/rabbit-[0-9]*; do
    if [ -e "$file" ]; then
      file=${file##*/rabbit-}
      echo "${file%.ez}"
      return
    fi
  done
}

# Whether this user can run a program in the Debian folder. Root can. Another user can where the system lets the user map
# itself to root.
can_enter() {
  if ((EUID == 0)); then unshare --mount true 2>/dev/null
  else unshare --user --map-root-user --mount true 2>/dev/null; fi
}

make_trixie() {
  local lock new=$servers/.trixie.$$
  command -v debootstrap >/dev/null || [ -x /usr/sbin/debootstrap ] || install debootstrap debian-archive-keyring
  # When two runs come here at once, the second run waits and then finds the folder.
  exec {lock}>"$servers/lock"
  flock "$lock"
  [ ! -d "$servers/trixie" ] || return 0
  as_root rm -rf "$servers"/.trixie.*
  say "RabbitMQ 4 from Debian trixie, into $servers/trixie (once, 370 MB, about a minute)"
  # debootstrap runs in namespaces of its own: its mounts and processes end with it, even when somebody interrupts it. It
  # works in a folder with another name, so that no run ever finds half a folder.
  if ! as_root "${tie[@]}" env PATH="$PATH:/usr/sbin:/sbin" \
    unshare --mount --pid --fork --kill-child --mount-proc \
    debootstrap --variant=minbase --include=rabbitmq-server trixie "$new" \
    >"$servers/debootstrap.log" 2>&1; then
    tail -n 15 "$servers/debootstrap.log" >&2
    give_up "debootstrap could not make a Debian folder with RabbitMQ" "its output: $servers/debootstrap.log"
  fi
  ((EUID == 0)) || as_root chown -R --no-dereference "$(id -u):$(id -g)" "$new"
  mv "$new" "$servers/trixie"
  exec {lock}>&-
}

provide_rabbitmq() {
  local folder version=
  if folder=$(installed_rabbitmq); then
    version=$(rabbitmq_version "$folder")
    if at_least "${version:-0}" 4.0; then
      export KEFU_TEST_RABBITMQ_ROOT=/ KEFU_TEST_RABBITMQ_BIN=$folder
      say "RabbitMQ $version: $folder"
      return
    fi
  fi
  unset KEFU_TEST_RABBITMQ_BIN
  if [ ! -d "$servers/trixie" ] || ! can_enter; then
    local found="there is no rabbitmq-server"
    [ -z "$folder" ] || found="the installed rabbitmq-server is version ${version:-unknown}"
    local how="On Debian or Ubuntu, $me provides it itself when run as root, or by somebody who may use sudo."
    if [ "$(uname -s)" = Linux ] && ! can_enter; then
      how="$me cannot provide it here: $(id -un) may not mount anything (\`unshare --mount\`), even in a namespace of its own."
    fi
    if ! { [ "$(uname -s)" = Linux ] && can_enter && can_install; }; then
      give_up "$found; $they need RabbitMQ 4.0 or later" \
        "Install it (https://www.rabbitmq.com/docs/download) so that rabbitmq-server is on the PATH, or name the folder" \
        "of rabbitmq-server and rabbitmqctl in KEFU_TEST_RABBITMQ_BIN." "$how"
    fi
    make_trixie
  fi
  export KEFU_TEST_RABBITMQ_ROOT=$servers/trixie
  say "RabbitMQ $(sed -n '/^Package: rabbitmq-server$/,/^$/s/^Version: //p' "$servers/trixie/var/lib/dpkg/status"):" \
    "$servers/trixie"
}
