#!/bin/sh
# Runs the tests: all of them, or the files given. The last line says "N passed, N failed".
root=$(cd "$(dirname "$0")/.." && pwd) || exit 70
cd "$root" || exit 70
folder=$(mktemp -d "${TMPDIR:-/tmp}/perch-test.XXXXXX") || exit 70
beside=
prefix=
trap 'rm -rf "$folder"' EXIT
trap '[ -z "$beside" ] || kill "$beside" 2>/dev/null; exit 130' INT TERM

# Parsing our own files again in each process would cost more than most tests take (as bin/perch has it).
if [ -z "$NODE_COMPILE_CACHE" ] && [ -n "${XDG_CACHE_HOME:-$HOME}" ]; then
  export NODE_COMPILE_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/perch/compile"
fi

# A test that hangs ends as a failure, not as a job that its runner kills without a word; so does a file that does not end
# after its tests (guard.ts).
run() { # NAME CONCURRENCY FILE…: their report to stdout, and into the folder by that name
  name=$1
  concurrency=$2
  shift 2
  # shellcheck disable=SC2086 # a word, or none
  $prefix sh scripts/node.sh --test --test-concurrency="$concurrency" --test-timeout=300000 --import ./test/lib/guard.ts \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=spec --test-reporter-destination="$folder/$name" "$@"
}

# Soak tests run by themselves (npm run soak). Files that wait most of the time, with a fifth of a core used (for nodes that
# fail, connect again or read a file again, for pauses of who is frozen) are in a lane of their own, beside the others; and
# one that compiles for a minute, which goes behind them.
WAITING='^test/(cluster/(hosts/|[^/]*failures|chains|revoked|worker-nodes)|attack/frozen|worker/(network/network|runtimes/provided-ric))'
status=0
if [ $# = 0 ]; then
  all=$(find test -name '*.test.ts' -not -path 'test/soak/*' | LC_ALL=C sort)
  # shellcheck disable=SC2046 # lists of words
  (
    prefix=exec # It is the one to be ended.
    run beside 1 $(echo "$all" | grep -E "$WAITING")
  ) >"$folder/said" 2>&1 &
  beside=$!
  # shellcheck disable=SC2046
  set -- $(echo "$all" | grep -vE "$WAITING")
fi

# Two files at a time: they start platforms of their own, and small machines run them too.
run main 2 "$@" || status=$?
if [ -n "$beside" ]; then
  wait "$beside" || status=$?
  beside=
  cat "$folder/said"
fi

count() { cat "$folder/main" "$folder/beside" 2>/dev/null | awk -v name="$1" '$1 == "ℹ" && $2 == name { n += $3 } END { print n + 0 }'; }
passed=$(count pass)
failed=$(($(count fail) + $(count cancelled)))
skipped=$(count skipped)
if [ "$status" = 0 ] && [ $((passed + failed)) = 0 ]; then
  echo "no test ran" >&2
  status=1
fi
if [ "$skipped" -gt 0 ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
exit "$status"
