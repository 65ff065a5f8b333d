/** The contract suite against every backend: bubblewrap as whoever runs the tests, none, and the fake. */
import { existsSync } from 'node:fs';
import { type UngroupedSessions, ungroupSessions } from '../../../src/worker/sandbox/sessions.ts';
import { FakeBackend, SafeBackend, createBackend, type SandboxName } from '../../../src/worker/sandbox/index.ts';
import type { SandboxBackend } from '../../../src/worker/sandbox/contract.ts';
import { playCell } from './fixtures/fake-cell.ts';
import { playEcho } from './fixtures/fake-echo.ts';
import { cellContractSuite } from './cell-contract.ts';
import { contractSuite, type Subject } from './contract.ts';
import {
  hasFreezer,
  hasMemoryLimit,
  isRoot,
  makeFolders,
  noBubblewrap,
  removeFolders,
  ROOT_ONLY,
  type Folders,
} from './harness.ts';

function subject(name: SandboxName, skip: string | false): Subject {
  let folders: Folders;
  let backend: SandboxBackend;
  let sessions: UngroupedSessions;
  return {
    title: `${name}, as ${isRoot ? 'root' : 'an ordinary user'}`,
    skip,
    async open() {
      folders = makeFolders();
      sessions = ungroupSessions();
      backend = createBackend(name, {
        codeRoot: folders.codeRoot,
        runtimesRoot: folders.runtimesRoot,
        interpreter: process.execPath,
        slotCount: 8,
        log: { warn: (text) => console.log(`# ${text}`) },
      });
      await backend.open();
      return { backend, folders };
    },
    async close() {
      await backend.close();
      sessions.release();
      removeFolders(folders);
    },
    real: true,
    memoryLimit: hasMemoryLimit,
    catchesStrays: name === 'bubblewrap' || hasMemoryLimit,
    limitsProcesses: name === 'bubblewrap' || hasMemoryLimit,
    freezes: hasFreezer,
  };
}

contractSuite(subject('bubblewrap', noBubblewrap));
contractSuite(subject('none', !existsSync('/proc/self') && 'NEEDS Linux'));

cellContractSuite(
  subject('bubblewrap', noBubblewrap || ROOT_ONLY || (!hasMemoryLimit && 'NO MEMORY CGROUP: copies need one')),
);

function fake(): Subject {
  const folders = makeFolders();
  return {
    title: 'fake',
    skip: false,
    async open() {
      const backend = new SafeBackend(new FakeBackend(playEcho, playCell), 8);
      await backend.open();
      return { backend, folders };
    },
    async close() {
      removeFolders(folders);
    },
    real: false,
    memoryLimit: false,
    catchesStrays: false,
    limitsProcesses: false,
    freezes: false,
  };
}

contractSuite(fake());
cellContractSuite(fake());
