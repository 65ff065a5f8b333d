#!/bin/sh
# Brings what a command needs: setup.sh demo | test | dev | bench. Quiet and quick when everything is there already.
# Needs Node 20 and its npm; the Node 24 that Perch runs on comes as one of the npm packages.
mode=$1
root=$(cd "$(dirname "$0")/.." && pwd) || exit 70
cd "$root" || exit 70
log=${TMPDIR:-/tmp}/perch-setup.$$.log
trap 'rm -f "$log"' EXIT

case $mode in
  demo) scope=runtime ;;
  test | dev | bench) scope=all ;;
  *)
    echo "usage: setup.sh demo|test|dev|bench" >&2
    exit 2
    ;;
esac

say() { echo "perch setup: $*" >&2; }

# --- npm packages -----------------------------------------------------------------------------------------------------

# A stamp is a copy of the lock file that was installed.
stamped() { cmp -s package-lock.json "node_modules/.perch-$1"; }

# For packages that somebody installed without us: is each one of the lock file there, in its version?
installed_by_hand() {
  [ -f node_modules/.package-lock.json ] && node -e '
    const { readFileSync } = require("fs");
    const packages = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
    const there = packages("node_modules/.package-lock.json");
    const missing = Object.entries(packages("package-lock.json")).filter(([path, spec]) =>
      path !== "" && !spec.optional && !spec.devOptional && !(spec.dev && process.argv[1] === "runtime") &&
      there[path]?.version !== spec.version);
    process.exit(missing.length === 0 ? 0 : 1);
  ' "$scope" && ls node_modules/node-*/bin/node >/dev/null 2>&1
}

install_packages() {
  command -v npm >/dev/null || {
    say "npm is missing. Install Node.js 20 or newer with npm, then run this again."
    exit 69
  }
  if [ "$scope" = runtime ]; then
    say "installing npm packages (what Perch runs on, Node 24 included)"
    npm ci --omit=dev --loglevel=error >"$log" 2>&1
  else
    say "installing npm packages (what Perch runs on, Node 24 included, and its development tools)"
    npm ci --include=dev --loglevel=error >"$log" 2>&1
  fi || {
    cat "$log" >&2
    say "'npm ci' failed, see above. It needs to reach the npm registry (or a mirror: npm config set registry URL)."
    exit 69
  }
}

if ! stamped all && ! { [ $scope = runtime ] && stamped runtime; }; then
  installed_by_hand || install_packages
  cp package-lock.json "node_modules/.perch-$scope"
fi

# --- system packages --------------------------------------------------------------------------------------------------

wanted=
want() { # PACKAGE FILE WHAT-FOR: notes the package where the file is missing
  [ -e "$2" ] && return
  wanted="$wanted $1"
  reasons="$reasons
  $1: $3"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1
}

# Not every release has every package, so each is tried alone where all together fail.
install_wanted() {
  # shellcheck disable=SC2086 # a list of words
  apt_install $wanted && return
  say "updating the package lists of apt-get"
  apt-get update -qq >"$log" 2>&1
  # shellcheck disable=SC2086
  apt_install $wanted && return
  for package in $wanted; do
    apt_install "$package" || say "could not install $package ($(grep -m1 '^E: ' "$log")); going on without it"
  done
}

if [ "$(uname -s)" = Linux ]; then
  command -v bwrap >/dev/null || want bubblewrap /usr/bin/bwrap 'the sandbox that functions run in'
  if [ "$mode" = test ]; then
    want python3-boto3 /usr/lib/python3/dist-packages/boto3 'a Lambda client that the tests use'
    want awscli /usr/bin/aws 'a Lambda client that the tests use'
    command -v spin >/dev/null || want spin /usr/bin/spin 'the model checker of models/'
    command -v cc >/dev/null || want gcc /usr/bin/cc 'compiles what the model checker writes'
    want libc6-dev /usr/include/stdio.h 'the headers for that'
    command -v tc >/dev/null || want iproute2 /usr/sbin/tc 'the hosts of the cluster tests: network namespaces and slow links'
    command -v nft >/dev/null || want nftables /usr/sbin/nft 'the same: what is cut between them'
    command -v clang >/dev/null || want clang /usr/bin/clang 'compiles what watches sleep and wake in the kernel'
    want libbpf-dev /usr/include/bpf/bpf_helpers.h 'the same: its headers, and the library that loads it'
    command -v faketime >/dev/null || want faketime /usr/bin/faketime 'the same: clocks that disagree'
  fi
  case $mode in
    test | bench) command -v wrk >/dev/null || want wrk /usr/bin/wrk 'the load generator of the benchmarks' ;;
  esac
fi

if [ -n "$wanted" ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    if command -v apt-get >/dev/null; then how="sudo apt-get install$wanted"; else how="your system's package manager"; fi
    say "these are missing; going on without. To install them: $how$reasons"
  else
    say "installing with apt-get:$reasons"
    answer=y
    if [ -t 0 ]; then
      printf 'perch setup: go ahead? [Y/n] ' >&2
      read -r answer
    fi
    case $answer in
      '' | y* | Y*) install_wanted ;;
      *) say "not installed; going on without. Later: apt-get install$wanted" ;;
    esac
  fi
fi

# --- what runs in the kernel ------------------------------------------------------------------------------------------

case $mode in
  demo) [ ! -e scripts/bpf.sh ] || ! command -v clang >/dev/null || sh scripts/bpf.sh ;;
  test | bench) sh scripts/bpf.sh ;;
esac
exit 0
