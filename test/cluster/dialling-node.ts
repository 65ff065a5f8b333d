/** A node of the test that dials a real one, over mutual TLS, and says what it is told to say. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { realClock } from '../../src/base/clock.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import { clientOptions } from '../../src/cluster/identity/tls.ts';
import { LINK_LIMITS } from '../../src/cluster/link/limits.ts';
import { type Closing, FrameLink } from '../../src/cluster/link/link.ts';
import type { Address } from '../../src/cluster/node/connect.ts';
import { ClusterKind, reasonName, type Role } from '../../src/wire/cluster-frame.ts';
import type { Direction } from '../../src/wire/cluster/directions.ts';
import { HelloFrame } from '../../src/wire/cluster/large-frames.ts';

const WAIT_MS = 10_000;

export async function until(condition: () => boolean): Promise<void> {
  for (const endMs = Date.now() + WAIT_MS; !condition() && Date.now() < endMs;) await sleep(2);
}

export interface Dialled extends Address {
  readonly role: Role;
}

export abstract class DiallingNode {
  welcome: HelloFrame | null = null;
  closing: Closing | null = null;
  readonly link: FrameLink;

  constructor(identity: Identity, to: Dialled, hello: Partial<HelloFrame> & { readonly role: Role }) {
    const { host, port, role } = to;
    const said = Object.assign(new HelloFrame(ClusterKind.hello), { name: identity.name, life: 1, ...hello });
    this.link = new FrameLink(
      connect({ ...clientOptions(identity), host, port }),
      { hello: said, dialled: role, limits: LINK_LIMITS, clock: realClock },
      {
        greeted: (peer) => {
          this.welcome = Object.assign(new HelloFrame(ClusterKind.welcome), peer);
          return this.hears();
        },
        opened: () => {},
        closed: (closing) => (this.closing = closing),
      },
    );
  }

  /** Where what it is told goes. */
  protected abstract hears(): Direction;

  async opened(): Promise<this> {
    await until(() => this.link.isOpen || this.closing !== null);
    assert.ok(this.link.isOpen, `closed: ${this.closedBy()}`);
    return this;
  }

  async ended(): Promise<string> {
    await until(() => this.closing !== null);
    return this.closedBy();
  }

  closedBy(): string {
    return this.closing === null ? 'not' : reasonName(this.closing.reason);
  }
}
