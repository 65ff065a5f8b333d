/**
 * Who may talk to the gateway.
 *
 * Without access keys it listens on loopback only, and then the danger is the user's own browser: a page may send
 * requests to 127.0.0.1 (so what a page sent is refused by the headers that browsers add), and a name of the page's
 * own may point there (so the Host must be a loopback name, or the address listened on). With access keys every
 * request is signed, which no page can do.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { UserError } from '../base/errors.ts';
import { isLoopback, isRefusedPeer } from './peer.ts';
import type { UidRange } from './peer.ts';
import { readClaim, verify } from './sigv4.ts';
import type { Claim, SignedRequest } from './sigv4.ts';

const HOSTS_REMEMBERED_MAX = 64;

const FROM_A_PAGE = new UserError(
  'AccessDeniedException',
  'Requests of web pages (with an Origin or Sec-Fetch-Site header) are refused: call from a program of your own.',
);

const FROM_A_FUNCTION = new UserError(
  'AccessDeniedException',
  'Functions of this platform may not call the API that controls it.',
);

const NO_HOST = new UserError(
  'InvalidRequestContentException',
  'The request has no Host header, which HTTP/1.1 asks for.',
);

export interface GuardOptions {
  /** As given to listen. */
  readonly host: string;
  readonly keys: ReadonlyMap<string, string>;
  readonly refuseUids: UidRange | null;
}

export class Guard {
  readonly #options: GuardOptions;
  /** Host headers found good, so that the hot path looks one up and parses none. */
  readonly #goodHosts = new Set<string>();

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** Why it may not even listen, or null. */
  refuseToListen(): string | null {
    const { host, keys } = this.#options;
    if (isLoopback(host) || keys.size > 0) return null;
    return (
      `Refusing to listen on ${host} without access keys: everybody who reaches that address could run code here. ` +
      'Give access keys with --keys FILE (clients then sign their requests), or listen on 127.0.0.1.'
    );
  }

  /** Of a connection, before anything is read from it. */
  refuseConnection(socket: Socket): UserError | null {
    const { refuseUids } = this.#options;
    return refuseUids !== null && isRefusedPeer(socket, refuseUids) ? FROM_A_FUNCTION : null;
  }

  /** By the headers alone; on the way of every request. */
  refuse(request: IncomingMessage): UserError | null {
    const { headers } = request;
    const { host } = headers;
    if (host === undefined && request.httpVersion === '1.1') return NO_HOST;
    if (this.#options.keys.size > 0) return null;
    if (isFromPage(headers)) return FROM_A_PAGE;
    return host === undefined || this.#goodHosts.has(host) ? null : this.#refuseHost(host);
  }

  #refuseHost(host: string): UserError | null {
    const name = host
      .replace(/:\d+$/, '')
      .replace(/^\[(.*)\]$/, '$1')
      .toLowerCase();
    if (!isLoopback(name) && !name.endsWith('.localhost') && name !== this.#options.host.toLowerCase()) {
      return new UserError(
        'AccessDeniedException',
        `The host '${host.slice(0, 256)}' is neither a loopback name nor the address that this gateway listens on (${this.#options.host}).`,
      );
    }
    if (this.#goodHosts.size < HOSTS_REMEMBERED_MAX) this.#goodHosts.add(host);
    return null;
  }

  /** Before the body is read. Null where no signatures are asked for. */
  claim(request: IncomingMessage): Claim | UserError | null {
    const { keys } = this.#options;
    return keys.size === 0 ? null : readClaim(signedRequest(request), keys, Date.now());
  }

  verify(request: IncomingMessage, body: Buffer, claim: Claim | null): UserError | null {
    return claim === null ? null : verify(signedRequest(request), body, claim);
  }
}

/** `none` is the user's own doing: an address typed in. */
function isFromPage(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  return headers.origin !== undefined || (site !== undefined && site !== 'none');
}

function signedRequest(request: IncomingMessage): SignedRequest {
  return { method: request.method ?? '', target: request.url ?? '', headers: request.headers };
}
