/** Links over real sockets on loopback, with what they saw; and raw sockets that misbehave on the other side. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { realClock } from '../../../src/base/clock.ts';
import { LINK_LIMITS } from '../../../src/cluster/link/limits.ts';
import { type Closing, FrameLink, type LinkEvents, type LinkLimits } from '../../../src/cluster/link/link.ts';
import { type CloseReason, ClusterKind, reasonName, type Role } from '../../../src/wire/cluster-frame.ts';
import { HelloFrame } from '../../../src/wire/cluster/large-frames.ts';
import { directionOf, plainOf, type Plain } from '../../wire/frames.ts';

/** So that what takes seconds takes little; only where nothing healthy is looked at. */
export const HASTY: LinkLimits = { silenceMs: 300, beatMs: 100, backlogBytesMax: 256 * 1024 };

export function helloOf(kind: HelloFrame['kind'], role: Role, values: Partial<HelloFrame> = {}): HelloFrame {
  return Object.assign(new HelloFrame(kind), { role, name: `node-${role}` }, values);
}

/** One end of a connection, and what it saw. */
export class End {
  readonly link: FrameLink;
  readonly frames: Plain[] = [];
  readonly closings: Closing[] = [];
  peer: object = {};
  readonly opened: Promise<void>;
  readonly closed: Promise<string>;
  onFrame: (kind: string, frame: any) => void = () => {};

  constructor(socket: Socket, own: Role, dialled: Role | null, options: EndOptions = {}) {
    const opened = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<string>();
    this.opened = opened.promise;
    this.closed = closed.promise;
    const events: LinkEvents = {
      greeted: (peer) => {
        this.peer = Object.assign({}, peer);
        if (options.refuse !== undefined) return options.refuse;
        return directionOf([peer.role, own], (kind, frame) => {
          if (this.closings.length > 0) throw new Error('a frame after the end');
          this.frames.push(plainOf(kind, frame));
          this.onFrame(kind, frame);
        });
      },
      opened: () => opened.resolve(),
      closed: (closing) => {
        this.closings.push(closing);
        closed.resolve(`${reasonName(closing.reason)}${closing.byPeer ? ' by peer' : ''}`);
      },
    };
    const kind = dialled === null ? ClusterKind.welcome : ClusterKind.hello;
    this.link = new FrameLink(
      socket,
      { hello: helloOf(kind, own, options.hello), dialled, limits: options.limits ?? LINK_LIMITS, clock: realClock },
      events,
    );
  }
}

export interface EndOptions {
  readonly limits?: LinkLimits;
  readonly hello?: Partial<HelloFrame>;
  readonly refuse?: CloseReason;
}

/** Ended with the test, and all its sockets. */
export async function serve(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

export function dial(t: TestContext, port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  return socket;
}

export interface Ends {
  readonly dialler: End;
  readonly dialled: End;
  readonly dialSocket: Socket;
  readonly socket: Socket;
}

/** Both ends, before either is open. */
export async function connected(
  t: TestContext,
  [from, to]: readonly [Role, Role],
  options: { dialler?: EndOptions; dialled?: EndOptions } = {},
): Promise<Ends> {
  const accepted = Promise.withResolvers<Socket>();
  const port = await serve(t, accepted.resolve);
  const dialSocket = dial(t, port);
  const dialler = new End(dialSocket, from, to, options.dialler);
  const socket = await accepted.promise;
  const dialled = new End(socket, to, null, options.dialled);
  return { dialler, dialled, dialSocket, socket };
}
