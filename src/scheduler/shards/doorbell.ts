/**
 * How the event loop of a shard hears its bell while it sleeps. What there is to do is in the words; a ring says only "look". The loop arms
 * itself by waiting for the bell to leave 0, which answers at once where it has left it already: so nothing falls between the end of a
 * look and the beginning of the wait. It does not keep its thread alive; the shard's listening socket does.
 *
 * A busy shard need not wait for this: it calls `settleBatch` after each buffer that it has read.
 */
import { LINE_LOG2 } from '../machine/memory.ts';
import type { Scheduler } from '../machine/scheduler.ts';

export interface Doorbell {
  /** The bell is not heard any more. */
  close(): void;
}

/** Calls `onRung` whenever the machine's bell has rung and its loop is free: it calls `settleBatch` and carries out the grants. */
export function hearBell({ memory, shard }: Scheduler, onRung: () => void): Doorbell {
  const { bells } = memory;
  const at = shard << LINE_LOG2;
  let isOpen = true;
  const listen = (): void => {
    const { async, value } = Atomics.waitAsync(bells, at, 0);
    if (async) void value.then(hear);
    // It has rung already. Not at once, or a bell that never stops would be all that the loop hears.
    else setImmediate(hear);
  };
  const hear = (): void => {
    if (!isOpen) return;
    onRung();
    listen();
  };
  listen();
  return {
    close: () => {
      isOpen = false;
      // Ends the wait; the others may take it for a ring, and look in vain.
      Atomics.notify(bells, at);
    },
  };
}
