#!/bin/sh
# Compiles what watches sleep and wake in the kernel: src/worker/observers/ebpf/sleep.bpf.c. One object serves every kernel
# and every little-endian machine (CO-RE). Without clang or libbpf's headers it says so, and goes on: Perch then looks at /proc.
root=$(cd "$(dirname "$0")/.." && pwd) || exit 70
cd "$root/src/worker/observers/ebpf" || exit 70
source=sleep.bpf.c
object=sleep.bpf.o

[ -e "$object" ] && [ "$object" -nt "$source" ] && exit 0
command -v clang >/dev/null && [ -e /usr/include/bpf/bpf_helpers.h ] || {
  echo "perch: NOT compiled: $source, since clang or libbpf-dev is missing (apt-get install clang libbpf-dev)" >&2
  exit 0
}
made=$object.$$
trap 'rm -f "$made"' EXIT
clang -g -O2 -mcpu=v3 -target bpf -Wall -Werror "-I/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$made" || exit 70
mv "$made" "$object"
