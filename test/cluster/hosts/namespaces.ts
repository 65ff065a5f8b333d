/**
 * Network namespaces with names, as `ip netns` keeps them. Each name says which process made it (its id, its start, its
 * namespace of process ids), so that what a killed run left can be told from what a running one uses, and is removed.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { isLeftover, ownName } from '../../../src/worker/sandbox/identity.ts';
import { libc } from '../../../src/worker/sandbox/libc.ts';

const FOLDER = '/run/netns';
const CLONE_NEWNET = 0x4000_0000;

export function namespaceFile(name: string): string {
  return `${FOLDER}/${name}`;
}

export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export function runIn(namespace: string, command: string, ...args: string[]): string {
  return run('nsenter', `--net=${namespaceFile(namespace)}`, command, ...args);
}

export function listNamespaces(): string[] {
  try {
    return readdirSync(FOLDER).filter((name) => name.startsWith('perch-'));
  } catch {
    return [];
  }
}

/** Of this process. */
export function ownNamespaces(): string[] {
  return listNamespaces().filter((name) => name.startsWith(`${ownName()}-`));
}

/** With the veths in it. Whoever still runs in it keeps it alive, without a name. */
export function removeNamespace(name: string): void {
  run('ip', 'netns', 'del', name);
}

export function processesIn(name: string): number[] {
  const inode = statSync(namespaceFile(name)).ino;
  return readdirSync('/proc')
    .filter((id) => /^\d+$/.test(id))
    .filter((id) => {
      try {
        return readlinkSync(`/proc/${id}/ns/net`) === `net:[${inode}]`;
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** What a run before this one left when it was killed. */
export function removeLeftovers(): void {
  for (const name of listNamespaces().filter(isLeftover)) {
    try {
      for (const id of processesIn(name)) process.kill(id, 'SIGKILL');
      removeNamespace(name);
    } catch {
      // Another test removes it at the same time.
    }
  }
}

export interface Namespace {
  /** Moves the calling thread there. Only the main thread makes sockets. */
  enter(): void;
  close(): void;
}

export function openNamespace(file: string): Namespace {
  const descriptor = openSync(file, 'r');
  return {
    enter() {
      const result = libc?.setns(descriptor, CLONE_NEWNET);
      if (result !== 0) throw new Error(`setns ${file}: error ${result}`);
    },
    close: () => closeSync(descriptor),
  };
}

export function currentNamespace(): Namespace {
  return openNamespace('/proc/thread-self/ns/net');
}
