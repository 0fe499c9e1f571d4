# shellcheck shell=bash disable=SC2034
# Settings and small functions of up.sh, down.sh and break.sh, which read this file.
#
# Every setting is an environment variable. Clusters with different folders and ports stand side by side.
DIR=${GRIDRUN_SLURM_DIR:-/tmp/gridrun-test-cluster}   # everything of the cluster: configuration, state, logs
PORT=${GRIDRUN_SLURM_PORT:-27800}                     # the first of 10 + NODES ports on 127.0.0.1
NODES=${GRIDRUN_SLURM_NODES:-4}                       # n1, n2 ...: all on this machine, each a slurmd
CPUS=${GRIDRUN_SLURM_CPUS:-2}                         # of each node; there may be more than the machine has
MEMORY_MB=${GRIDRUN_SLURM_MEMORY_MB:-4000}            # of each node
MAX_ARRAY=${GRIDRUN_SLURM_MAX_ARRAY:-1001}            # Slurm's MaxArraySize: the first index that is too large
MIN_JOB_AGE_S=${GRIDRUN_SLURM_MIN_JOB_AGE_S:-300}     # how long squeue remembers a job that has ended
ACCOUNTING=${GRIDRUN_SLURM_ACCOUNTING:-1}             # 1: sacct answers (slurmdbd and MariaDB); 0: it does not
INSTALL=${GRIDRUN_SLURM_INSTALL:-1}                   # 1: install missing packages; 0: only name them

CTLD_PORT=$PORT
DBD_PORT=$((PORT + 1))
DATABASE_PORT=$((PORT + 2))
FIRST_NODE_PORT=$((PORT + 10))
export SLURM_CONF=$DIR/slurm.conf

say() { echo "test cluster: $*" >&2; }
fail() { say "$@"; exit 1; }

# The pid in a pid file, if that process runs and is the daemon it should be: after a restart of the machine the file
# is still there, and its number may be another process's; and a dead one may stay listed where nobody buries it (Z).
daemon() { # NAME PIDFILE
    local pid
    pid=$(cat "$2" 2>/dev/null) && [ -n "$pid" ] && runs "$pid" &&
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] && echo "$pid"
}

runs() { grep -q '^State:.[^ZX]' "/proc/$1/status" 2>/dev/null; } # PID

# Try a command ten times a second until it succeeds.
wait_for() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; } # PORT

# The first port from which a cluster finds its own free.
free_port() { # PORT
    local port=$1
    while answers "$port" || answers $((port + 1)) || answers $((port + 2)) || answers $((port + 10)); do
        port=$((port + 50))
    done
    echo "$port"
}

port_is_free() { # PORT WHO
    if answers "$1"; then
        fail "port $1 ($2) is in use by another program: choose other ports with GRIDRUN_SLURM_PORT (now $PORT)"
    fi
}

# The configuration file of a template beside this script: @NAME@ stands for the setting of that name.
fill() { # TEMPLATE TARGET
    local name edits=()
    for name in DIR HOST NODES CPUS MEMORY_MB MAX_ARRAY MIN_JOB_AGE_S NODE_PORTS CTLD_PORT DBD_PORT DATABASE_PORT; do
        edits+=(-e "s|@$name@|${!name}|g")
    done
    sed "${edits[@]}" "$HERE/$1" >"$2"
}
