/** The contract suite against the backends that run in this process: bubblewrap as whoever runs the tests, and none. */
import { existsSync } from 'node:fs';
import { createBackend, type SandboxName } from '../../../src/worker/sandbox/index.ts';
import type { SandboxBackend } from '../../../src/worker/sandbox/contract.ts';
import { contractSuite, type Subject } from './contract.ts';
import { hasMemoryLimit, isRoot, makeFolders, noBubblewrap, removeFolders, type Folders } from './harness.ts';

function subject(name: SandboxName, skip: string | false): Subject {
  let folders: Folders;
  let backend: SandboxBackend;
  return {
    title: `${name}, as ${isRoot ? 'root' : 'an ordinary user'}`,
    skip,
    async open() {
      folders = makeFolders();
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
      removeFolders(folders);
    },
    memoryLimit: hasMemoryLimit,
    catchesStrays: name === 'bubblewrap' || hasMemoryLimit,
    limitsProcesses: name === 'bubblewrap' || hasMemoryLimit,
  };
}

contractSuite(subject('bubblewrap', noBubblewrap));
contractSuite(subject('none', !existsSync('/proc/self') && 'NEEDS Linux'));
