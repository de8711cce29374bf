#!/usr/bin/env bash
# The official SDKs against a live Stead server.
#
#   run.sh                      every lane
#   run.sh python-2.12          only the named lanes: python-2.12, python-1.7, python-0.121, typescript
#
# STEAD_BIN    the server (default: target/release/stead)
# STEAD_DATABASE_URL  the server's database (default: SQLite); it should be empty
# PYTEST_ARGS  more arguments for pytest, such as "-k previews -x"
# CI=true      a missing python3 or node is a failure, not a skip
#
# Installed SDKs are kept below target/conformance, one directory per set of pinned packages.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
kept=$root/target/conformance
stead=$(realpath -m "${STEAD_BIN:-$root/target/release/stead}")
lanes=("$@")
all_lanes=(python-2.12 python-1.7 python-0.121 typescript)
[[ ${#lanes[@]} -gt 0 ]] || lanes=("${all_lanes[@]}")
for lane in "${lanes[@]}"; do
    [[ " ${all_lanes[*]} " == *" $lane "* ]] || { echo "no such lane: $lane; there are: ${all_lanes[*]}" >&2; exit 2; }
done
[[ -x $stead ]] || { echo "no server at $stead: build it with cargo build --release --locked, or set STEAD_BIN" >&2; exit 2; }
mkdir -p "$kept"

passed=() skipped=() failed=()
server=
scratch=$(mktemp -d "${TMPDIR:-/tmp}/stead-conformance.XXXXXX")

stop_server() {
    [[ -n $server ]] || return 0
    kill "$server" 2>/dev/null || true
    for _ in $(seq 100); do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}

clean_up() {
    stop_server
    rm -rf --one-file-system "$scratch" || echo "=== server: some of $scratch is left" >&2
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP PIPE

lane_failed() {
    echo "=== $1: FAILED ($2)"
    failed+=("$1")
}

# Asks for a program; without it the lane is skipped by name, or fails where nothing may be missing.
needs() {
    local lane=$1 program=$2
    command -v "$program" >/dev/null && return 0
    if [[ ${CI:-} == true ]]; then
        lane_failed "$lane" "there is no $program"
    else
        echo "=== $lane: SKIPPED, because there is no $program"
        skipped+=("$lane")
    fi
    return 1
}

hash_of() {
    cat "$@" | sha256sum | cut -c1-12
}

free_port() {
    if command -v python3 >/dev/null; then
        python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
    elif command -v node >/dev/null; then
        node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
    else
        echo $((20000 + RANDOM % 20000))
    fi
}

# A script that fails does so a number of times in all conversations that begin alike. So every lane gets copies of its
# own, and each test plays one that nobody has played.
copies=6
lay_out_scripts() {
    local script lane number
    mkdir "$scratch/scripts"
    cp "$here"/scripts/*.yaml "$scratch/scripts"
    for script in "$here"/scripts/*_once.yaml; do
        for lane in "${lanes[@]}"; do
            for ((number = 1; number <= copies; number++)); do
                cp "$script" "$scratch/scripts/$(basename "$script" .yaml)-${lane//./-}-$number.yaml"
            done
        done
    done
}

start_server() {
    local port database=SQLite
    [[ -z ${STEAD_DATABASE_URL:-} ]] || database=PostgreSQL
    port=$(free_port)
    export ANTHROPIC_BASE_URL=http://127.0.0.1:$port
    ANTHROPIC_API_KEY=stead-conformance-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    export ANTHROPIC_API_KEY
    mkdir "$scratch/data"
    cp "$here/stead.toml" "$scratch"
    # In a directory of its own, so that only that file is found, and without keys, so that only the scripts are models.
    (
        cd "$scratch"
        exec env -u ANTHROPIC_API_KEY -u OPENAI_API_KEY -u STEAD_CONFIG \
            STEAD_LISTEN="127.0.0.1:$port" STEAD_DATA_DIR="$scratch/data" STEAD_API_KEY="$ANTHROPIC_API_KEY" \
            STEAD_SCRIPTS_DIR="$scratch/scripts" "$stead" serve
    ) >"$kept/server.log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        if curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "$ANTHROPIC_BASE_URL/health"; then
            echo "=== server: $stead at $ANTHROPIC_BASE_URL on $database, pid $server, log in $kept/server.log"
            return 0
        fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo "=== server: it did not become healthy; the end of its log:" >&2
    tail -n 40 "$kept/server.log" >&2
    return 1
}

python_lane() {
    local lane=$1 requirements venv
    needs "$lane" python3 || return 0
    requirements=$here/python/requirements-${lane#python-}.txt
    venv=$kept/$lane-$(hash_of "$requirements" <(python3 --version))
    if [[ ! -e $venv/ready ]]; then
        echo "=== $lane: installing"
        rm -rf "$venv"
        if ! { python3 -m venv "$venv" && "$venv/bin/python" -m pip install --quiet --requirement "$requirements"; }; then
            lane_failed "$lane" "its packages could not be installed"
            return 0
        fi
        touch "$venv/ready"
    fi
    echo "=== $lane"
    # shellcheck disable=SC2086
    if (cd "$here/python" && PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest ${PYTEST_ARGS:-}); then
        passed+=("$lane")
    else
        lane_failed "$lane" "see above"
    fi
}

typescript_lane() {
    local lane=$1 suite
    needs "$lane" node || return 0
    needs "$lane" npm || return 0
    suite=$kept/$lane-$(hash_of "$here/typescript/package.json" "$here/typescript/package-lock.json" <(node --version))
    if [[ ! -e $suite/ready ]]; then
        echo "=== $lane: installing"
        rm -rf "$suite"
        mkdir -p "$suite"
        cp "$here/typescript/package.json" "$here/typescript/package-lock.json" "$suite"
        if ! (cd "$suite" && npm ci --no-audit --no-fund); then
            lane_failed "$lane" "its packages could not be installed"
            return 0
        fi
        touch "$suite/ready"
    fi
    # Run from a copy beside its packages, because node looks for them from the file upwards.
    rm -f "$suite"/*.mjs
    cp "$here"/typescript/*.mjs "$here/typescript/jsconfig.json" "$suite"
    echo "=== $lane"
    if (cd "$suite" && npm run --silent types && npm run --silent test); then
        passed+=("$lane")
    else
        lane_failed "$lane" "see above"
    fi
}

# Nothing of the caller's own account may reach the SDKs.
for name in $(compgen -e | grep '^ANTHROPIC_' || true); do
    unset "$name"
done
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost

lay_out_scripts
start_server
for lane in "${lanes[@]}"; do
    export STEAD_CONFORMANCE_LANE=${lane//./-}
    case $lane in
        python-*) python_lane "$lane" ;;
        typescript) typescript_lane "$lane" ;;
    esac
    if ! kill -0 "$server" 2>/dev/null; then
        echo "=== server: it ended during $lane; the end of its log:" >&2
        tail -n 40 "$kept/server.log" >&2
        failed+=("server")
        break
    fi
done
stop_server

echo "=== passed: ${passed[*]:-none}; skipped: ${skipped[*]:-none}; failed: ${failed[*]:-none}"
echo "${#passed[@]} passed, ${#failed[@]} failed, ${#skipped[@]} skipped"
[[ ${#failed[@]} -eq 0 ]]
