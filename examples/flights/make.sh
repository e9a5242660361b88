#!/usr/bin/env bash
# Makes the flight data sets again from their source. See --help and SOURCE.md.
set -euo pipefail

help() {
    cat <<'TEXT'
Makes the flight data sets again from the package they come from.

  examples/flights/make.sh              write flights-2001.csv.zst beside this script again
  examples/flights/make.sh --check      make it in a temporary folder and compare it, byte for byte,
                                        with the one beside this script; non-zero when they differ
  examples/flights/make.sh --all FILE   write all 3,000,000 rows to FILE (also compressed, if FILE
                                        ends in .zst; without: 76 MB); may be given with --check

Needs python3 (3.10 or later) with venv, npm, tar, sha256sum and the two package registries. It works in a
temporary folder that needs 400 MB and that it removes at the end. PYTHON names another Python.
TEXT
}

PACKAGE=vega-datasets@3.2.1
PARQUET=package/data/flights-3m.parquet
PARQUET_SHA256=dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0
WHEELS=(pyarrow==26.0.1 zstandard==0.25.0)
EVERY=15

fail() { echo "make.sh: $*" >&2; exit 1; }

check=no all=
while (($#)); do
    case $1 in
        -h | --help) help; exit 0 ;;
        --check) check=yes; shift ;;
        --all)
            (($# > 1)) || fail "--all needs the name of the file to write"
            all=$(cd "$(dirname "$2")" && pwd)/$(basename "$2"); shift 2 ;;
        *) fail "unknown argument '$1'; --help lists those there are" ;;
    esac
done

here=$(cd "$(dirname "$0")" && pwd)
name=flights-2001.csv.zst
python=${PYTHON:-python3}
for tool in "$python" npm tar sha256sum; do
    command -v "$tool" >/dev/null || fail "$tool is not there; it is needed to fetch and read the source"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/flights.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "fetching $PACKAGE and ${WHEELS[*]}"
(cd "$work" && npm pack --silent --cache "$work/npm" "$PACKAGE" >/dev/null && tar xzf ./*.tgz "$PARQUET")
echo "$PARQUET_SHA256  $work/$PARQUET" | sha256sum --check --quiet - || fail "the source is not the one expected"
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir "${WHEELS[@]}"

cut() { "$work/venv/bin/python" -B "$here/cut.py" "$work/$PARQUET" "$@"; }

if [[ $check = yes ]]; then
    cut "$work/$name" "$EVERY"
    cmp "$work/$name" "$here/$name" || fail "$here/$name is not what its source gives"
    echo "$name is what its source gives, byte for byte"
elif [[ -z $all ]]; then
    cut "$work/$name" "$EVERY"
    mv "$work/$name" "$here/$name"
fi
if [[ -n $all ]]; then
    cut "$all"
fi
