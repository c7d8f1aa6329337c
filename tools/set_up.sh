#!/bin/sh
# Makes .venv what a task needs: `tools/set_up.sh run` (scanguard and its plugins) or `dev` (and the tools).
#
# Fast when there is nothing to do. The stamp is written last, so a set-up that was interrupted, or made for
# other requirements, another Python or another folder, is done again. PYTHON= names the interpreter.
set -eu
cd "$(dirname "$0")/.."
profile=${1:?run or dev}
venv=${VENV:-.venv}

is_supported() {
    "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_supported "$PYTHON" && echo "$PYTHON" && return
        echo "scanguard needs Python 3.11, 3.12 or 3.13; PYTHON=$PYTHON is $("$PYTHON" -V 2>&1 || echo 'no program')" >&2
        exit 2
    fi
    for candidate in python3 python3.13 python3.12 python3.11; do
        is_supported "$candidate" && echo "$candidate" && return
    done
    echo "scanguard needs Python 3.11, 3.12 or 3.13; python3 is $(python3 -V 2>&1 || echo 'not installed')." >&2
    echo "Install one, or say where it is: make ${MAKE_GOAL:-test} PYTHON=/path/to/python3.12" >&2
    exit 2
}

fingerprint() { # of everything the environment was made from
    "$1" -V
    pwd
    cat requirements.txt requirements-dev.txt requirements-docs.txt constraints.txt pyproject.toml plugins/*/pyproject.toml
}

python=$(find_python)
wanted=$(fingerprint "$python" | cksum)
for stamp in "$venv/.set-up-$profile" "$venv/.set-up-dev"; do
    [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0
done

rm -f "$venv"/.set-up-*
if ! { is_supported "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 &&
    [ "$("$venv/bin/python" -V)" = "$("$python" -V)" ]; }; then
    echo "Making $venv with $("$python" -V) ..."
    "$python" -m venv --clear "$venv" || {
        echo "$python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2
        exit 2
    }
fi
case $profile in
run) requirements=requirements.txt ;;
dev) requirements=requirements-dev.txt ;;
*) echo "unknown profile $profile: run or dev" >&2 && exit 2 ;;
esac
echo "Installing $requirements ..."
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" -c constraints.txt
echo "$wanted" >"$venv/.set-up-$profile"
