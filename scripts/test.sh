#!/bin/sh
# Runs the tests: all of them, or the files given. The last line says "N passed, N failed".
root=$(cd "$(dirname "$0")/.." && pwd) || exit 70
cd "$root" || exit 70
counts=${TMPDIR:-/tmp}/perch-test.$$.txt
trap 'rm -f "$counts"' EXIT

# Soak tests run by themselves (npm run soak).
[ $# -gt 0 ] || set -- $(find test -name '*.test.ts' -not -path 'test/soak/*' | LC_ALL=C sort)

# Two files at a time: they start platforms of their own, and small machines run them too.
# A test that hangs ends as a failure, not as a job that its runner kills without a word.
sh scripts/node.sh --test --test-concurrency=2 --test-timeout=300000 \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=spec --test-reporter-destination="$counts" "$@"
status=$?

count() { awk -v name="$1" '$1 == "ℹ" && $2 == name { n = $3 } END { print n + 0 }' "$counts"; }
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
