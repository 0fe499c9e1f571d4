#!/usr/bin/env bash
# Break a part of the test cluster, and mend it again: what tests do to see that nothing is lost.
#
#   break.sh kill-node n2        its slurmd and every process of its jobs at once, as in a power cut
#   break.sh start-node n2       the node is back
#   break.sh freeze slurmctld    a daemon (slurmctld, slurmdbd, mariadbd, or a node such as n2) stops answering ...
#   break.sh thaw slurmctld      ... and answers again
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/test_cluster/settings.sh
. "$HERE/settings.sh"

main() {
    [ $# = 2 ] || fail "usage: break.sh kill-node|start-node|freeze|thaw NAME"
    [ -e "$SLURM_CONF" ] || fail "there is no cluster in $DIR (GRIDRUN_SLURM_DIR)"
    case $1 in
        kill-node) kill_node "$2" ;;
        start-node) start_node "$2" ;;
        freeze) kill -STOP "$(pid_of "$2")" ;;
        thaw) kill -CONT "$(pid_of "$2")" ;;
        *) fail "cannot $1: kill-node, start-node, freeze or thaw" ;;
    esac
}

pid_of() { # DAEMON OR NODE
    case $1 in
        slurmctld | slurmdbd | mariadbd) daemon "$1" "$DIR/run/$1.pid" ;;
        *) daemon slurmd "$DIR/run/$1.pid" ;;
    esac || fail "$1 is not running in $DIR"
}

# The jobs' guardians (slurmstepd) of a node: they keep its log open.
guardians() { # NODE
    local pid
    for pid in $(pgrep -x slurmstepd); do
        find "/proc/$pid/fd" -lname "$DIR/log/$1.log" -printf "$pid\n" -quit 2>/dev/null
    done
}

# Every process of a node's jobs: Slurm's variables are in its environment.
job_processes() { # NODE
    local folder
    for folder in /proc/[0-9]*; do
        tr '\0' '\n' 2>/dev/null <"$folder/environ" |
            grep -cxF -e "SLURM_CONF=$SLURM_CONF" -e "SLURMD_NODENAME=$1" | grep -qx 2 && echo "${folder#/proc/}"
    done
    return 0
}

kill_node() { # NAME
    local pids
    pids="$(pid_of "$1") $(guardians "$1") $(job_processes "$1")"
    # shellcheck disable=SC2086
    kill -9 $pids 2>/dev/null || true # some may just have ended by themselves
    # shellcheck disable=SC2046
    kill -9 $(job_processes "$1") 2>/dev/null || true # and some may just have started
    rm -f "$DIR/run/$1.pid"
}

start_node() { # NAME
    mkdir -p "$DIR/spool/$1"
    if ! daemon slurmd "$DIR/run/$1.pid" >/dev/null; then
        rm -f "$DIR/run/$1.pid"
        port_is_free $((FIRST_NODE_PORT + ${1#n} - 1)) "$1"
        (cd "$DIR/log" && slurmd -N "$1") || fail "$1 did not start: see $DIR/log/$1.log"
    fi
    # A node that was drained by hand, or that failed, serves again.
    case $(sinfo -h -n "$1" -p main -o %t) in
        down* | drain* | drng* | fail*) scontrol update nodename="$1" state=resume 2>/dev/null || true ;;
    esac
}

main "$@"
