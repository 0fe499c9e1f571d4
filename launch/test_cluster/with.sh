#!/usr/bin/env bash
# Run a command on a cluster of its own, which stands as long as the command runs; on the one that SLURM_CONF names,
# if it names one.
#
#   sudo launch/test_cluster/with.sh sinfo
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -n "${SLURM_CONF:-}" ]; then
    exec "$@"
fi
GRIDRUN_SLURM_DIR=$(mktemp -d /tmp/gridrun-slurm-XXXXXX)
export GRIDRUN_SLURM_DIR
# shellcheck source=launch/test_cluster/settings.sh
. "$HERE/settings.sh"
GRIDRUN_SLURM_PORT=$(free_port "$PORT")
export GRIDRUN_SLURM_PORT

trap '"$HERE/down.sh" --purge; rm -rf "$GRIDRUN_SLURM_DIR"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$HERE/up.sh" >/dev/null
"$@"
