#!/usr/bin/env bash
# Stop the cluster that up.sh started, its jobs first; the folder stays, and up.sh goes on from there.
#
#   sudo launch/test_cluster/down.sh [--purge]      --purge removes the folder too
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/test_cluster/settings.sh
. "$HERE/settings.sh"

main() {
    [ -z "${1:-}" ] || [ "$1" = --purge ] || fail "usage: down.sh [--purge]"
    [ -e "$SLURM_CONF" ] || { say "there is nothing in $DIR"; return 0; }
    if pid=$(daemon slurmctld "$DIR/run/slurmctld.pid"); then
        kill -CONT "$pid" # it may be frozen
        end_jobs
    fi
    local file
    for file in "$DIR"/run/n[0-9]*.pid; do
        stop slurmd "$file" 5
    done
    stop slurmctld "$DIR/run/slurmctld.pid" 10
    stop slurmdbd "$DIR/run/slurmdbd.pid" 10
    stop mariadbd "$DIR/run/mariadbd.pid" 20
    if [ "${1:-}" = --purge ]; then rm -rf "$DIR"; fi
}

# No job may outlive the daemons that would end it.
end_jobs() {
    timeout 10 squeue -h -o %A 2>/dev/null | sort -u | xargs -r timeout 10 scancel 2>/dev/null
    wait_for 15 nothing_runs || say "some jobs do not end"
}

nothing_runs() {
    local jobs
    jobs=$(timeout 5 squeue -h) && [ -z "$jobs" ]
}

stop() { # NAME PIDFILE SECONDS
    local pid
    if pid=$(daemon "$1" "$2"); then
        kill -CONT "$pid"
        kill "$pid"
        wait_for "$3" gone "$pid" || kill -9 "$pid"
    fi
    rm -f "$2"
}

gone() { ! runs "$1"; }

main "$@"
