set -euo pipefail
umask 022
export HOME=/root LC_ALL=C.UTF-8 TERM=dumb CI=1 NO_COLOR=1
export PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin:/usr/local/cargo/bin:$HOME/.cargo/bin"
exec </dev/null
cd /
# On disk, where there is more room than in memory.
mkdir -p /var/tmp
work=$(mktemp -d /var/tmp/packages.XXXXXX)
trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
export TMPDIR="$work"
need() {
    if ! command -v "$1" >/dev/null 2>&1; then
        printf 'packages: there is no program called %s\n' "$1" >&2
        exit 127
    fi
}
within() {
    local status=0
    timeout -k 10 "$1" "${@:2}" || status=$?
    # Of `timeout` itself, and of what it had to kill.
    if ((status == 124 || status == 137)); then
        printf 'packages: given up after %s seconds: %s\n' "$1" "$2" >&2
    fi
    return "$status"
}
again() {
    local left=3 status
    while :; do
        status=0
        within "$@" || status=$?
        left=$((left - 1))
        if ((status == 0 || left == 0 || status == 124 || status == 137)); then
            return "$status"
        fi
        sleep 3
    done
}
need timeout
