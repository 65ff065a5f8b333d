#!/bin/sh
# Everything that can be checked in a minute, as any user and without a network: lint, format, types, unit tests.
root=$(cd "$(dirname "$0")/.." && pwd) || exit 70
cd "$root" || exit 70
status=0

step() { # NAME COMMAND…: prints the output only of what fails
  name=$1
  shift
  if output=$("$@" 2>&1); then
    echo "ok      $name"
  else
    printf '%s\nFAILED  %s\n' "$output" "$name"
    status=1
  fi
}

step lint node_modules/.bin/oxlint --type-aware --deny-warnings
step format node_modules/.bin/oxfmt --check .
step types node_modules/.bin/tsc -p .

# The rooms whose tests need no sandbox, no root and no other program.
set -- test/tidy.test.ts
for folder in base wire telemetry scheduler workflow worker/machine worker/node sim cli/unit gateway/unit gateway/cluster; do
  for file in test/$folder/*.test.ts; do
    [ ! -e "$file" ] || set -- "$@" "$file"
  done
done
step 'unit tests' sh scripts/test.sh "$@"
exit $status
