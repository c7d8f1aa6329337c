#!/bin/sh
# The main job, offline, on bundled data: a deployment event goes in; verdict, stored report and explanation
# come out. Ends 0 whatever the verdict (exit codes 10 and 11 are verdicts); any other code is a failure.
set -eu
cd "$(dirname "$0")/.."
exec 2>&1 # one stream, in the order in which things happen
data=.demo
scanguard=${VENV:-.venv}/bin/scanguard
rm -rf "$data" # every run starts from nothing

say() { printf '\n== %s\n' "$1"; }

show() { # a command as a person would type it, then its output
    printf '$ scanguard'
    printf ' %s' "$@"
    printf '\n'
    "$scanguard" "$@"
}

judged() { # the same for a command whose exit code may be a verdict
    code=0
    show "$@" || code=$?
    case $code in
    0 | 10 | 11) printf '(exit code %s)\n' "$code" ;;
    *) echo "the demo failed with exit code $code" >&2 && exit "$code" ;;
    esac
}

say "Import advisories: a snapshot of 10 October 2024, bundled for this demo, NOT current"
show --data-dir "$data" osv import examples/demo/advisories/pypi-snapshot-2024-10-10.zip

say "A container group was created: feed its event through the whole pipeline"
judged --data-dir "$data" --config examples/demo/scanguard.yaml event examples/demo/event.json

say "The verdict is stored"
show --data-dir "$data" --config examples/demo/scanguard.yaml results

say "Why was it decided like that?"
show --data-dir "$data" --config examples/demo/scanguard.yaml explain \
    /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-shop/providers/Microsoft.ContainerInstance/containerGroups/assistant

say "The stored report, one JSON file for each image of the verdict (its first lines)"
report=$(find "$data" -name 'scan-*.json' | sort | tail -n 1)
[ -n "$report" ] || { echo "no report was stored" && exit 1; }
echo "$report ($(wc -c <"$report") bytes)"
head -n 12 "$report"
