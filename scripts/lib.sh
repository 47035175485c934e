# Shared by the scripts of `make`: steps with times, and packages of the system.
# Sourced, not run. Every function prints what it does before it does it.
# shellcheck shell=bash

STEP_TITLE=
STEP_BEGAN=0

# step TITLE TEXT: begins a step; step_done ends it with its time.
step() {
    STEP_TITLE=$1
    STEP_BEGAN=$SECONDS
    printf '%-14s %s\n' "$1" "$2"
}

step_done() {
    printf '%-14s ok, %s s\n' "$STEP_TITLE" "$((SECONDS - STEP_BEGAN))"
}

stop() {
    printf '%s\n' "$@" >&2
    exit 4
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# The major version of the newest PostgreSQL whose programs are here, or nothing.
postgres_major() {
    local folder found=0 text major
    for folder in \
        "$(pg_config --bindir 2>/dev/null || true)" \
        "$(dirname "$(command -v initdb 2>/dev/null || echo /none/initdb)")" \
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* \
        /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
        { [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; } || continue
        text=$("$folder/postgres" --version 2>/dev/null) || continue
        major=${text##*\) }
        major=${major%%[!0-9]*}
        [ -n "$major" ] && [ "$major" -gt "$found" ] && found=$major
    done
    [ "$found" -ge 15 ] && printf '%s\n' "$found"
}

package_manager() {
    local manager
    for manager in apt-get dnf apk pacman zypper brew; do
        if has "$manager"; then
            printf '%s\n' "$manager"
            return
        fi
    done
    stop 'no known package manager (apt-get, dnf, apk, pacman, zypper, brew)' \
        "install these by hand: $*"
}

# package_name MANAGER THING: what the thing is called there.
package_name() {
    case "$1:$2" in
    apt-get:compiler) echo 'gcc libc6-dev make' ;;
    dnf:compiler | zypper:compiler) echo 'gcc make' ;;
    apk:compiler) echo 'build-base' ;;
    pacman:compiler) echo 'base-devel' ;;
    brew:compiler) echo 'gcc' ;;
    dnf:postgresql | zypper:postgresql) echo 'postgresql-server postgresql-contrib' ;;
    apk:postgresql) echo 'postgresql15 postgresql15-contrib icu-data-full' ;;
    brew:postgresql) echo 'postgresql@17' ;;
    apt-get:node | apk:node | pacman:node) echo 'nodejs npm' ;;
    dnf:node | zypper:node) echo 'nodejs npm' ;;
    brew:node) echo 'node' ;;
    apt-get:aiosmtpd | dnf:aiosmtpd | zypper:aiosmtpd) echo 'python3-aiosmtpd' ;;
    apk:aiosmtpd) echo 'py3-aiosmtpd' ;;
    pacman:aiosmtpd) echo 'python-aiosmtpd' ;;
    # Debian keeps what makes environments apart.
    apt-get:python) echo 'python3 python3-venv' ;;
    dnf:python | apk:python | zypper:python) echo 'python3' ;;
    pacman:python | brew:python) echo 'python' ;;
    *) echo "$2" ;;
    esac
}

# install_missing THING…: installs packages, or prints the command and stops.
install_missing() {
    [ $# -gt 0 ] || return 0
    local manager thing packages=() command=() update=()
    manager=$(package_manager "$@")
    for thing in "$@"; do
        # Several packages may stand for one thing.
        read -r -a names <<<"$(package_name "$manager" "$thing")"
        packages+=("${names[@]}")
    done
    case "$manager" in
    apt-get)
        # Another package manager may hold the lock: wait for it.
        update=(apt-get -o DPkg::Lock::Timeout=120 update)
        command=(apt-get -o DPkg::Lock::Timeout=120 install -y "${packages[@]}")
        ;;
    dnf) command=(dnf install -y "${packages[@]}") ;;
    apk) command=(apk add "${packages[@]}") ;;
    pacman) command=(pacman -S --needed --noconfirm "${packages[@]}") ;;
    zypper) command=(zypper --non-interactive install "${packages[@]}") ;;
    brew) command=(brew install "${packages[@]}") ;;
    esac
    if [ "$manager" != brew ] && [ "$(id -u)" -ne 0 ]; then
        command=(sudo "${command[@]}")
        [ ${#update[@]} -eq 0 ] || update=(sudo "${update[@]}")
        if ! [ -t 0 ] || ! has sudo; then
            stop "missing: $*" 'run this, then try again:' "  ${command[*]}"
        fi
    fi
    printf '%-14s missing: %s; will run: %s\n' '' "$*" "${command[*]}"
    [ "$manager" != apt-get ] || export DEBIAN_FRONTEND=noninteractive
    if ! "${command[@]}" >/dev/null; then
        # The list of packages may be old or absent, as in fresh containers.
        [ ${#update[@]} -gt 0 ] || stop "failed: ${command[*]}"
        printf '%-14s failed; will run: %s\n' '' "${update[*]}"
        "${update[@]}" >/dev/null || stop "failed: ${update[*]}"
        "${command[@]}" >/dev/null || stop "failed: ${command[*]}"
    fi
    if [ "$manager" = apt-get ] && [[ " $* " == *' postgresql '* ]]; then
        printf '%-14s Debian also made a PostgreSQL cluster of its own; it is left alone\n' ''
    fi
}

# Rust is never installed by us: the toolchain of a developer is theirs.
require_rust() {
    has cargo && return
    # rustup puts it where a shell that has not been restarted does not look.
    if [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
        export PATH
        return
    fi
    stop 'Rust is missing; install it with this line, then try again:' \
        "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
}

# Python 3.10 or newer that can make environments of its own.
python_is_new() {
    python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

# The things that are missing of those named, one per line.
missing_of() {
    local thing
    for thing in "$@"; do
        case "$thing" in
        postgresql) [ -n "$(postgres_major)" ] || echo "$thing" ;;
        compiler) has cc || has gcc || has clang || echo "$thing" ;;
        node) { has node && has npm; } || echo "$thing" ;;
        python) python_is_new || echo "$thing" ;;
        chromium) has chromium || has chromium-browser || has google-chrome || [ -n "${MEYDAN_CHROMIUM:-}" ] || echo "$thing" ;;
        pgbouncer) has pgbouncer || [ -x /usr/sbin/pgbouncer ] || echo "$thing" ;;
        *) has "$thing" || echo "$thing" ;;
        esac
    done
}

# The Python of the tests' mail server: the system's, or one of its own beside what cargo builds.
python_with_mail() {
    local python own
    own=$(target_dir)/python/bin/python3
    for python in /usr/bin/python3 python3 "$own"; do
        if "$python" -c 'import aiosmtpd' 2>/dev/null; then
            printf '%s\n' "$python"
            return
        fi
    done
    case "$(package_manager aiosmtpd)" in
    brew) has python3 || install_missing python ;;
    *)
        install_missing aiosmtpd >&2
        if /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null; then
            echo /usr/bin/python3
            return
        fi
        ;;
    esac
    python3 -m venv "$(target_dir)/python" >&2
    "$own" -m pip install --quiet aiosmtpd >&2
    printf '%s\n' "$own"
}

# python_env NAME REQUIREMENTS: an environment in Cargo's target folder with these packages; made
# once for each state of the file. Prints where its programs are.
python_env() {
    local target folder
    target=$(target_dir)
    folder=$target/python-$1-$(cksum <"$2" | cut -d' ' -f1)
    if [ ! -e "$folder/ready" ]; then
        rm -rf "$target/python-$1"-*
        python3 -m venv "$folder" >&2
        "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$2" >&2
        touch "$folder/ready"
    fi
    printf '%s\n' "$folder/bin"
}

# Where cargo puts what it builds; it knows of CARGO_TARGET_DIR and of its own settings.
target_dir() {
    cargo metadata --format-version 1 --no-deps --locked |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}
