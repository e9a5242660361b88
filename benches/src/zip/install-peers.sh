#!/bin/sh
# Installs what `zip --peers` measures beside: redis-server and Open MPI by apt-get, which needs root, and their Python
# clients and Gloo into a virtual environment.
#
#     benches/src/zip/install-peers.sh [FOLDER]      the environment's; target/peers if none is named
#
# What is there already is left alone, so a second run needs no network. Ends with 1 if something is missing afterwards,
# and says what and what to do; the rest is installed all the same.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=${1:-$here/../../../target/peers}
failed=0

say() {
    echo "install-peers: $*" >&2
    failed=1
}

missing=
command -v redis-server >/dev/null || missing="$missing redis-server"
# The headers are for where mpi4py has no wheel and must be compiled.
command -v mpirun >/dev/null || missing="$missing openmpi-bin libopenmpi-dev"
python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3 python3-venv"
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        say "not on the PATH:$missing (so Debian calls them), and there is no apt-get: install them with your system's packages"
    elif [ "$(id -u)" != 0 ]; then
        say "missing:$missing; run as root: apt-get install --yes --no-install-recommends$missing"
    else
        echo "install-peers: apt-get install$missing" >&2
        # shellcheck disable=SC2086 # a list of packages
        { apt-get update --quiet --quiet && DEBIAN_FRONTEND=noninteractive \
            apt-get install --quiet --quiet --yes --no-install-recommends $missing; } >&2 ||
            say "apt-get could not install$missing: see above"
    fi
fi

if [ ! -x "$folder/bin/python" ]; then
    python3 -m venv "$folder" >&2 || say "no Python environment in $folder: see above"
fi
# One after the other: without an MPI library, Redis can still be measured.
# Gloo comes inside of xoscar, of whose other packages nothing is needed.
for packages in "numpy==2.4.6 redis==8.1.0 hiredis==3.5.0" "mpi4py==4.1.2" "--no-deps xoscar==0.12.2"; do
    # shellcheck disable=SC2086 # a list of packages
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check $packages >&2 ||
        say "pip could not install $packages: see above"
done
exit $failed
