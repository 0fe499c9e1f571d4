#!/usr/bin/env bash
# Start a small Slurm cluster on this machine, to try `python train.py -exp=NAME -mode=slurm` without a real one.
#
#   sudo launch/test_cluster/up.sh        # prints the line that points Slurm's commands at it:
#   export SLURM_CONF=/tmp/gridrun-test-cluster/slurm.conf
#
# Run again, it starts only what is not running. Settings: settings.sh. Debian 12 or a system near it, as root.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/test_cluster/settings.sh
. "$HERE/settings.sh"

main() {
    check_settings
    install_packages
    mkdir -p "$DIR"/{state,spool,log,run}
    chmod 755 "$DIR" # any user may submit, so any user reads slurm.conf
    exec 9>"$DIR/run/lock"
    flock -w 120 9 || fail "another up.sh is busy with $DIR"
    configure
    if [ "$ACCOUNTING" = 1 ]; then
        start_database
        start_accounting
    fi
    start_controller
    start_nodes
    say "up: $NODES nodes of $CPUS CPUs and $MEMORY_MB MB in partitions main, low and high"
    echo "export SLURM_CONF=$SLURM_CONF"
}

check_settings() {
    [ "$(id -u)" = 0 ] || fail "needs root (a slurmd starts each job as the user who submitted it): sudo $0"
    [[ $DIR =~ ^/[A-Za-z0-9/._+-]+$ ]] || fail "GRIDRUN_SLURM_DIR=$DIR: a path from /, of letters, digits and ._+-"
    [ ${#DIR} -le 80 ] || fail "GRIDRUN_SLURM_DIR=$DIR is too long for the database's socket: 80 characters at most"
    local name
    for name in PORT NODES CPUS MEMORY_MB MAX_ARRAY MIN_JOB_AGE_S; do
        [[ ${!name} =~ ^[1-9][0-9]*$ ]] || fail "GRIDRUN_SLURM_$name=${!name}: a number from 1"
    done
}

install_packages() {
    local package missing=() wanted=(slurmctld slurmd slurm-client slurm-wlm-basic-plugins)
    [ "$ACCOUNTING" = 0 ] || wanted+=(slurmdbd slurm-wlm-mysql-plugin mariadb-server-core mariadb-client-core)
    command -v dpkg-query >/dev/null || fail "knows only Debian's packages: ${wanted[*]}"
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$INSTALL" = 1 ] || fail "these packages are missing: apt-get install --no-install-recommends ${missing[*]}"
    say "installing ${missing[*]}"
    (
        # Debian asks this file whether a freshly installed daemon may start; ours are started below, by hand.
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            trap 'rm -f /usr/sbin/policy-rc.d' EXIT
            printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
            chmod +x /usr/sbin/policy-rc.d
        fi
        log=$(mktemp)
        apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1; }
        if ! { apt update && apt install --no-install-recommends "${missing[@]}"; }; then
            tail -n 20 "$log" >&2
            fail "apt-get could not install them (its last lines are above, all of them in $log)"
        fi
        rm -f "$log"
    )
}

configure() {
    HOST=$(hostname -s 2>/dev/null) || HOST=$(uname -n) # `hostname -s` wants a name that resolves
    HOST=${HOST%%.*}
    # shellcheck disable=SC2034  # read by fill
    NODE_PORTS="[$FIRST_NODE_PORT-$((FIRST_NODE_PORT + NODES - 1))]"
    fill slurm.conf.in "$SLURM_CONF.new"
    if [ "$ACCOUNTING" = 1 ]; then
        cat >>"$SLURM_CONF.new" <<LINES
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$DBD_PORT
LINES
    fi
    mv "$SLURM_CONF.new" "$SLURM_CONF"
    # Slurm 22.05 loads a cgroup plug-in that it never uses here; unnamed, it looks for one in /sys/fs/cgroup, which
    # is empty in some containers, and gives up.
    echo "CgroupPlugin=cgroup/v1" >"$DIR/cgroup.conf"
}

sql() { mariadb --no-defaults -u root -S "$DIR/run/mariadb.sock" -e "$1"; }

start_database() {
    fill mariadb.cnf.in "$DIR/mariadb.cnf"
    if [ ! -e "$DIR/database/.made" ]; then
        for try in 1 2 3; do  # on a machine that is very busy the first may fail
            rm -rf "$DIR/database"
            mariadb-install-db --no-defaults --user=root --datadir="$DIR/database" --skip-test-db --skip-name-resolve \
                --auth-root-authentication-method=normal --innodb-log-file-size=8M >"$DIR/log/database.log" 2>&1 && break
            [ "$try" != 3 ] || fail "the database could not be made: $(tail -n 5 "$DIR/log/database.log")"
            sleep "$try"
        done
        touch "$DIR/database/.made"
    fi
    if ! daemon mariadbd "$DIR/run/mariadbd.pid" >/dev/null; then
        port_is_free "$DATABASE_PORT" database
        setsid mariadbd --defaults-file="$DIR/mariadb.cnf" </dev/null >>"$DIR/log/mariadbd.log" 2>&1 9>&- &
    fi
    wait_for 60 sql "select 1" || fail "the database did not start: see $DIR/log/mariadbd.log"
    sql "create database if not exists slurm_accounting;
         create user if not exists slurm@127.0.0.1 identified by 'slurm';
         grant all on slurm_accounting.* to slurm@127.0.0.1;"
}

start_accounting() {
    fill slurmdbd.conf.in "$DIR/slurmdbd.conf"
    chmod 600 "$DIR/slurmdbd.conf" # slurmdbd insists: it holds a password
    if ! daemon slurmdbd "$DIR/run/slurmdbd.pid" >/dev/null; then
        port_is_free "$DBD_PORT" slurmdbd
        (cd "$DIR/log" && slurmdbd 9>&-) || fail "slurmdbd did not start: see $DIR/log/slurmdbd.log"
    fi
    wait_for 60 sacctmgr -n show cluster || fail "slurmdbd does not answer: see $DIR/log/slurmdbd.log"
    if ! sacctmgr -n -P show cluster format=cluster | grep -qx gridrun; then
        sacctmgr -i -Q add cluster gridrun >/dev/null
    fi
}

start_controller() {
    if ! daemon slurmctld "$DIR/run/slurmctld.pid" >/dev/null; then
        port_is_free "$CTLD_PORT" slurmctld
        (cd "$DIR/log" && slurmctld 9>&-) || fail "slurmctld did not start: see $DIR/log/slurmctld.log"
    fi
    wait_for 30 scontrol ping || fail "slurmctld does not answer: see $DIR/log/slurmctld.log"
}

start_nodes() {
    local i
    for ((i = 1; i <= NODES; i++)); do
        "$HERE/break.sh" start-node "n$i" 9>&-
    done
    wait_for 30 all_nodes_work || fail "not all nodes came up: $(sinfo -h -N -p main -o '%N %t %E' | tr '\n' ';')"
}

all_nodes_work() {
    [ "$(sinfo -h -N -p main -o %t | grep -cxE 'idle|mix|alloc')" = "$NODES" ]
}

main
