/** What a machine has to have for the observer in the kernel. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Finding } from '../../sandbox/contract.ts';
import { libbpfMissing } from './libbpf.ts';

export const OBJECT_FILE: string = fileURLToPath(new URL('./sleep.bpf.o', import.meta.url));

/** '' where this machine can, as far as is known without trying; else what is missing. */
export function ebpfMissing(): string {
  if (process.platform !== 'linux' || !existsSync('/sys/kernel/btf/vmlinux')) return 'the kernel has no BTF';
  if (process.getuid?.() !== 0) return 'it needs root';
  const library = libbpfMissing();
  if (library !== '') return library;
  return existsSync(OBJECT_FILE)
    ? ''
    : 'sleep.bpf.o has not been compiled: run scripts/bpf.sh, with clang and libbpf-dev';
}

/** What `perch doctor` says: whether sleep and wake are seen in the kernel, or by looking. */
export function ebpfFinding(): Finding & { readonly required: boolean } {
  const missing = ebpfMissing();
  const found = { topic: 'eBPF', required: false };
  if (missing === '') return { ...found, ok: true, detail: 'sleep and wake are seen in the kernel', fix: '' };
  const fix =
    'Optional: run as root on Linux 5.18 or later with CONFIG_DEBUG_INFO_BTF; apt-get install libbpf1, ' +
    'and to compile the program clang and libbpf-dev, then sh scripts/bpf.sh.';
  return {
    ...found,
    ok: false,
    detail: `sleep and wake are seen by looking at /proc: ${missing}`,
    fix,
  };
}
