/** The store of another node, over real connections in this process: it does all that a store has to. */
import { join } from 'node:path';
import { type Clock, realClock } from '../../src/base/clock.ts';
import { storeContract, type WholeStore } from './contract.ts';
import { IDENTITIES, openRemote } from './remote-nodes.ts';
import { serveStore } from './served-store.ts';

/** The contract gives moments, which travel as spans: with a clock that stands they come back as they were. */
const STOPPED: Clock = { ...realClock, wallMs: () => 1_700_000_000_000 };

storeContract({
  name: 'remote',
  async open(folder, limits) {
    const { store: identity } = IDENTITIES;
    const served = await serveStore(join(folder, 'node'), { identity, limits, clock: STOPPED });
    const remote = await openRemote(null, served.listener.port, STOPPED);
    const close = remote.close.bind(remote);
    // What was enqueued is run at the store's own node.
    const { store } = served;
    const whole: WholeStore = Object.assign(remote, {
      takeDue: store.takeDue.bind(store),
      nextDueMs: store.nextDueMs.bind(store),
      done: store.done.bind(store),
      retry: store.retry.bind(store),
      asyncQueueLength: store.asyncQueueLength.bind(store),
      close: async () => {
        await close();
        await served.close();
      },
    });
    return whole;
  },
});
