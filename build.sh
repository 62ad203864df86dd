#!/usr/bin/env bash
# build.sh: builds, tries, tests and installs mod_pooledproxy. `./build.sh help` lists the commands.
# What is missing is installed with apt when this runs as root; else the command to do so is printed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$root"

declare -A packages=(
    [build]="gcc libc6-dev apache2-dev libapr1-dev libaprutil1-dev libssl-dev libc-ares-dev libnghttp2-dev libjansson-dev pkgconf"
    [run]="apache2-bin perl curl ca-certificates"
    [test]="perl libtest-base-perl libio-socket-ssl-perl curl nginx-light haproxy nodejs python3 wrk nghttp2-client openssl procps dnsmasq-base
        valgrind strace libaprutil1-dbd-sqlite3 sqlite3"
    [bench]="gnuplot-nox util-linux"
    [clang]="clang libclang-rt-dev clang-format"
)

usage() {
    cat <<'END'
./build.sh                     build the module
./build.sh run [BACKEND-URL]   build it and run httpd with it, in front of BACKEND-URL or of a demo backend; Ctrl-C ends it
                               environment: PORT=8080, or the next one that is free
./build.sh test [FILES...]     build and run the tests: all of t/, or these .t files
                               environment: MPM=event|worker|prefork  SANITIZE=address|thread  RELOAD=1  VALGRIND=1
./build.sh unit [NAMES...]     build and run the unit tests only: all of t/unit, or these (pp_pool for t/unit/test_pp_pool.c)
./build.sh path                build, then print where the module is
./build.sh install             install it into httpd (apxs -i) with an example configuration
                               environment: DESTDIR=FOLDER, to have it below that
./build.sh bench [--quick]     measure beside mod_proxy_http, nginx and HAProxy; --only PATTERN, --rounds N, --list
./build.sh bench micro         measure the parser, the pool and the timers alone
./build.sh lint                gcc and clang with all warnings, clang-format, cppcheck
./build.sh format              clang-format over the module and the C of the tests
./build.sh fuzz [SECONDS]      run each fuzzer of t/fuzz (default 60 s each)
END
}

say() { printf 'build.sh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# ---- packages ----

missing_packages() {
    local package
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed* ]] || echo "$package"
    done
}

# Installs without starting any service. The package lists are fetched only when apt can't do without.
apt_install() {
    local guard=/usr/sbin/policy-rc.d apt=(apt-get install -y -qq --no-install-recommends "$@") made=0 ok=1
    if [[ ! -e $guard ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$guard"
        chmod +x "$guard"
        made=1
    fi
    export DEBIAN_FRONTEND=noninteractive
    "${apt[@]}" >/dev/null 2>&1 || { apt-get update -qq >&2 && "${apt[@]}" >/dev/null; } || ok=0
    [[ $made == 0 ]] || rm -f "$guard"
    [[ $ok == 1 ]] || fail "apt-get could not install: $*"
}

# need GROUP...: has the packages of these groups installed.
need() {
    local group list="" missing
    for group in "$@"; do list+=" ${packages[$group]}"; done
    # shellcheck disable=SC2086
    missing=$(missing_packages $list | sort -u | tr '\n' ' ')
    [[ $missing ]] || return 0
    [[ $(id -u) == 0 ]] || fail "please run: sudo apt-get install -y --no-install-recommends $missing"
    say "installing $missing"
    # shellcheck disable=SC2086
    apt_install $missing
}

# ---- compiling ----

mode=plain # or address, thread: the sanitizer

set_mode() {
    case ${SANITIZE:-} in
    "") mode=plain ;;
    address | thread) mode=$SANITIZE ;;
    *) fail "SANITIZE=$SANITIZE: must be address or thread" ;;
    esac
}

mode_flags() {
    case $mode in
    # Fat objects: the module is optimised as a whole when it is linked, the unit tests link in a moment.
    plain) echo "-O3 -g -fvisibility=hidden -flto=auto -ffat-lto-objects" ;;
    address) echo "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" ;;
    thread) echo "-O1 -g -fno-omit-frame-pointer -fsanitize=thread" ;;
    esac
}

warning_flags="-Wall -Wextra -Wshadow -Werror"

include_flags() {
    pkg-config --cflags apr-1 apr-util-1 libcares libnghttp2 jansson openssl | sed 's/-I/-isystem /g'
    echo "-isystem $(apxs -q INCLUDEDIR) -Imod_pooledproxy"
}

compile_flags() { echo "-std=c11 -D_GNU_SOURCE -fPIC $warning_flags $(mode_flags) $(include_flags)" | tr '\n' ' '; }

libraries() { echo "-Wl,--as-needed $(pkg-config --libs libcares libnghttp2 jansson openssl apr-util-1 apr-1) -lm -lpthread"; }

# Is the object older than one of the files it was made from?
is_stale() {
    local object=$1 file
    [[ -e $object && -e ${object%.o}.d ]] || return 0
    for file in $(sed -e 's/^[^:]*: //' -e 's/\\$//' "${object%.o}.d"); do
        [[ $file -nt $object || ! -e $file ]] && return 0
    done
    return 1
}

# The object bears the time at which its compilation began: what is edited meanwhile counts as newer.
compile_one() {
    local object=$1 source=$2
    shift 2
    touch "$object.began"
    gcc "$@" -MMD -MF "${object%.o}.d" -MT object -c "$source" -o "$object.new" || { rm -f "$object" "$object".*; return 1; }
    touch -r "$object.began" "$object.new"
    mv "$object.new" "$object"
    rm -f "$object.began"
}
export -f compile_one

# compile SOURCE...: those that changed, into build/MODE/*.o; all again when the flags changed.
# shellcheck disable=SC2016
compile() {
    local flags source object
    mkdir -p "build/$mode/unit"
    flags=$(compile_flags)
    if [[ $(cat "build/$mode/flags" 2>/dev/null) != "$flags" ]]; then
        rm -f "build/$mode"/*.o "build/$mode"/*/*.o
        echo "$flags" >"build/$mode/flags"
    fi
    for source in "$@"; do
        object=$(object_of "$source")
        if is_stale "$object"; then printf '%s %s\n' "$object" "$source"; fi
    done | FLAGS=$flags xargs -r -P "$(nproc)" -L 1 bash -c 'compile_one "$0" "$1" $FLAGS' || return 1
}

object_of() {
    case $1 in
    t/*) echo "build/$mode/unit/$(basename "$1" .c).o" ;;
    *) echo "build/$mode/$(basename "$1" .c).o" ;;
    esac
}

objects_of() {
    local source
    for source in "$@"; do object_of "$source"; done
}

# link OUTPUT ARGUMENTS...: made beside and moved, so that who has the old one open or mapped keeps it.
link() {
    local output=$1
    shift
    # shellcheck disable=SC2046
    gcc $(mode_flags) "$@" $(libraries) -o "$output.new" && mv "$output.new" "$output"
}

# One build at a time in a tree; the lock goes when the shell that holds it ends.
lock() {
    mkdir -p "build/$mode"
    exec 9>"build/$mode/.lock"
    flock 9
}

unlock() { exec 9>&-; }

build_module() {
    local sources=(mod_pooledproxy/*.c) objects object parts module="build/$mode/mod_pooledproxy.so" stale=0
    compile "${sources[@]}" || fail "the module does not compile"
    mapfile -t objects < <(objects_of "${sources[@]}")
    parts="${objects[*]} $(libraries)"
    [[ -e $module && $(cat "$module.parts" 2>/dev/null) == "$parts" ]] || stale=1
    for object in "${objects[@]}"; do
        if [[ ! $module -nt $object ]]; then stale=1; fi
    done
    [[ $stale == 1 ]] || return 0
    link "$module" -shared "${objects[@]}" || fail "the module does not link"
    echo "$parts" >"$module.parts"
}

# The core, pp_*.c, as a library for programs without httpd: of what compiles, false when that is not all.
build_core() {
    local sources=(mod_pooledproxy/pp_*.c) core="build/$mode/libpp.a" object status=0
    compile "${sources[@]}" || status=1
    rm -f "$core"
    for object in $(objects_of "${sources[@]}"); do
        if [[ -e $object ]]; then ar qc "$core" "$object"; fi
    done
    return $status
}

# build_program NAME SOURCE...: a program of these sources and the core.
build_program() {
    local program="build/$mode/unit/$1"
    shift
    # shellcheck disable=SC2046
    link "$program" -fno-lto $(objects_of "$@") "build/$mode/libpp.a" || { rm -f "$program"; say "$1 does not build"; return 1; }
}

build_unit_tests() {
    local source status=0 fuzzers sources=(t/unit/test_*.c)
    [[ -e ${sources[0]} ]] || return 0
    mapfile -t fuzzers < <(fuzzers)
    compile "${sources[@]}" "${fuzzers[@]}" t/fuzz/replay.c || status=1
    for source in "${sources[@]}"; do
        build_program "$(basename "$source" .c)" "$source" || status=1
    done
    for source in "${fuzzers[@]}"; do
        build_program "replay_$(fuzzer_name "$source")" "$source" t/fuzz/replay.c || status=1
    done
    return $status
}

fuzzers() { find t/fuzz -maxdepth 1 -name 'fuzz_*.c' 2>/dev/null | sort; }

# t/fuzz/fuzz_response.c is "response": its corpus is t/fuzz/corpus/response.
fuzzer_name() { basename "$1" .c | sed 's/^fuzz_//'; }

module_path() { echo "$root/build/$mode/mod_pooledproxy.so"; }

# ---- commands ----

command_build() {
    need build
    lock
    build_module
    unlock
}

command_path() {
    command_build >&2
    module_path
}

command_install() {
    local confdir libexecdir
    need build run
    command_build
    libexecdir=${DESTDIR:-}$(apxs -q LIBEXECDIR)
    confdir=${DESTDIR:-}$(apxs -q SYSCONFDIR)
    mkdir -p "$libexecdir"
    (cd "build/$mode" && apxs -S LIBEXECDIR="$libexecdir" -i -n pooledproxy mod_pooledproxy.so >/dev/null)
    mkdir -p "$confdir/mods-available" "$confdir/conf-available"
    echo "LoadModule pooledproxy_module $(apxs -q LIBEXECDIR)/mod_pooledproxy.so" >"$confdir/mods-available/pooledproxy.load"
    example_conf >"$confdir/conf-available/pooledproxy-example.conf"
    say "installed. Next: edit $confdir/conf-available/pooledproxy-example.conf, then a2enmod pooledproxy, a2enconf pooledproxy-example"
}

example_conf() {
    if [[ -e conf-examples/quick-start.conf ]]; then
        grep -v '^LoadModule' conf-examples/quick-start.conf
    else
        printf 'PooledProxyPass /app/ http://127.0.0.1:8081/\n'
    fi
}

command_unit() {
    local name programs=()
    need build
    lock
    build_core || say "the core does not compile as a whole"
    build_unit_tests || say "not all unit tests build"
    unlock
    [[ $# -gt 0 ]] || set -- t/unit/test_*.c
    for name in "$@"; do
        name=$(basename "$name" .c)
        programs+=("build/$mode/unit/test_${name#test_}")
    done
    prove --exec '' "${programs[@]}"
}

command_test() {
    need build run test
    lock
    { build_core && build_unit_tests; } || fail "the unit tests do not build"
    [[ $mode == thread ]] || build_module
    unlock
    POOLEDPROXY_SO=$(module_path)
    export POOLEDPROXY_SO POOLEDPROXY_UNIT="$root/build/$mode/unit"
    if [[ $mode == thread ]]; then # httpd itself is not made for it
        say "SANITIZE=thread: the unit tests only"
        set -- t/10-unit
    fi
    [[ $# -gt 0 ]] || set -- t
    exec prove -j2 -r -It/lib "$@"
}

build_micro() {
    local source sources=(t/bench/micro_*.c)
    lock
    { build_core && compile "${sources[@]}"; } || fail "the micro benchmarks do not compile"
    for source in "${sources[@]}"; do
        build_program "$(basename "$source" .c)" "$source" || fail "the micro benchmarks do not build"
    done
    unlock
}

command_bench() {
    need build run test bench
    [[ $mode == plain ]] || fail "SANITIZE=$mode: only the plain build can be measured"
    command_build
    [[ ${1:-} != micro ]] || build_micro
    POOLEDPROXY_SO=$(module_path) exec t/bench/run "$@"
}

command_lint() {
    local compiler status=0 sources=(mod_pooledproxy/*.c)
    need build clang
    mapfile -t -O "${#sources[@]}" sources < <(find t -name '*.c')
    for compiler in gcc clang; do
        # shellcheck disable=SC2046
        # The flag of fat objects is gcc's.
        printf '%s\n' "${sources[@]}" |
            xargs -P "$(nproc)" -n 1 $compiler $(compile_flags | sed 's/-ffat-lto-objects//') -fsyntax-only || status=1
    done
    clang-format --dry-run --Werror mod_pooledproxy/*.[ch] || status=1
    ! command -v cppcheck >/dev/null || cppcheck --quiet --enable=warning,portability --inline-suppr mod_pooledproxy # to be judged by eye
    [[ $status == 0 ]] && say "lint: clean"
    return $status
}

command_format() {
    need clang
    find mod_pooledproxy t -name '*.[ch]' -exec clang-format -i {} +
}

command_fuzz() {
    local seconds=${1:-60} source name corpora
    need build clang
    mkdir -p build/fuzz
    for source in $(fuzzers); do
        name=$(fuzzer_name "$source")
        mkdir -p "build/fuzz/$name"
        corpora=("build/fuzz/$name") # what is found goes into the first
        if [[ -d t/fuzz/corpus/$name ]]; then corpora+=("t/fuzz/corpus/$name"); fi
        # shellcheck disable=SC2046
        clang -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
            $(include_flags) "$source" mod_pooledproxy/pp_*.c $(libraries) -o "build/fuzz/fuzz_$name"
        say "fuzzing $name for $seconds s"
        "build/fuzz/fuzz_$name" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="build/fuzz/$name-" \
            "${corpora[@]}"
    done
}

# ---- run ----

started=() # process ids

stop_started() {
    trap - EXIT INT TERM
    [[ ${#started[@]} == 0 ]] || kill "${started[@]}" 2>/dev/null || true
    wait
}

is_port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local port=$1
    while is_port_taken "$port"; do port=$((port + 1)); done
    echo "$port"
}

# Starts the demo backend and sets backend to its URL.
start_demo_backend() {
    local dir=$1 port
    rm -f "$dir/ready"
    mkfifo "$dir/ready"
    exec 8<>"$dir/ready" # both ends: to wait in read, which has a time limit, not in open
    perl t/lib/backend.pl --ready "$dir/ready" 8>&- &
    started+=($!)
    read -r -t 10 port <&8 || fail "the demo backend did not start"
    exec 8>&-
    rm -f "$dir/ready"
    backend=http://127.0.0.1:$port/
}

run_conf() {
    local port=$1 backend=$2 dir=$3 modules
    modules=$(apxs -q LIBEXECDIR)
    cat <<END
# Written by ./build.sh run at each start.
ServerRoot "$dir"
DefaultRuntimeDir "$dir"
PidFile "$dir/httpd.pid"
ErrorLog "$dir/error.log"
LogLevel warn
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule pooledproxy_module $(module_path)
$([[ $(id -u) != 0 ]] || printf 'User www-data\nGroup www-data\n')
Listen 127.0.0.1:$port
ServerName 127.0.0.1:$port
# Waiting for a backend takes no thread: let a child hold many more connections than it has threads.
AsyncRequestWorkerFactor 64
LogFormat "%h \"%r\" %>s %O server=%{POOLEDPROXY_SERVER}e reused=%{POOLEDPROXY_REUSED}e us=%{POOLEDPROXY_T_TOTAL}e" pooled
CustomLog "$dir/access.log" pooled
<Location "/pooledproxy-status">
    SetHandler pooledproxy-status
</Location>
PooledProxyPass "/pooledproxy-status" "!"
PooledProxyPass "/" "$backend"
END
}

wait_for_port() {
    local tries=0
    until is_port_taken "$1"; do
        kill -0 "$2" 2>/dev/null || fail "httpd did not start: see build/run/$1/error.log"
        tries=$((tries + 1))
        [[ $tries -lt 100 ]] || fail "httpd does not listen on port $1"
        sleep 0.1
    done
}

command_run() {
    local backend=${1:-} port httpd dir
    need build run
    command_build
    httpd=$(apxs -q SBINDIR)/$(apxs -q PROGNAME)
    port=$(free_port "${PORT:-8080}")
    dir=$root/build/run/$port # one for each that runs
    mkdir -p "$dir"
    trap stop_started EXIT
    trap 'exit 130' INT TERM
    [[ $backend ]] || start_demo_backend "$dir"
    [[ $backend == */ ]] || backend+=/
    run_conf "$port" "$backend" "$dir" >"$dir/httpd.conf"
    "$httpd" -t -f "$dir/httpd.conf" 2>"$dir/configtest" || { cat "$dir/configtest" >&2; exit 1; }
    "$httpd" -f "$dir/httpd.conf" -DFOREGROUND &
    started+=($!)
    wait_for_port "$port" $!
    cat <<END

httpd with mod_pooledproxy is in front of $backend

    try it     curl -i http://127.0.0.1:$port/
    watch it   http://127.0.0.1:$port/pooledproxy-status
    its conf   build/run/$port/httpd.conf   (logs beside it)
    stop it    Ctrl-C

END
    wait -n "${started[@]}" || true
    fail "httpd or the backend has ended by itself: see build/run/$port/error.log"
}

# ---- main ----

main() {
    local command=${1:-build}
    [[ $# == 0 ]] || shift
    set_mode
    case $command in
    build | path | install | unit | test | run | bench | lint | format | fuzz) "command_$command" "$@" ;;
    help | -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
}

main "$@"
