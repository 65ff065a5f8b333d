/**
 * Where a worker gets zips from: its own shelf, then workers that are said to have them, then the store. Whoever it comes from, it
 * is what its name says or it is not taken: a worker that gives anything else is logged, and not asked for a while.
 */
import type { Agent } from 'node:https';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Address } from '../../cluster/node/connect.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Counter, Metrics } from '../../telemetry/metrics.ts';
import type { CodeSource } from '../code/code-source.ts';
import { sha256Of } from '../code/files.ts';
import type { CodeRef } from '../store.ts';
import { addressText } from '../../cluster/node/connect.ts';
import { Again, ask, NoAnswer, refusalOf, type StoreNode } from './client.ts';
import { PATHS } from './protocol.ts';

/** Zips that a worker keeps for others and for itself. What it gives is checked. */
export interface ZipShelf {
  get(sha256: string): Promise<Buffer | null>;
  put(sha256: string, bytes: Buffer): void;
  /** It is not what its name says. */
  drop(sha256: string): void;
}

export interface RemoteCodeSourceOptions extends StoreNode {
  readonly log: Log;
  /** Of `nodeAgent` for workers; absent: only the store is asked. */
  readonly peerAgent?: Agent;
  readonly shelf?: ZipShelf;
  readonly metrics?: Metrics;
}

type From = 'shelf' | 'peer' | 'store';

const STORE_TRIES = 4;
/** The answer to who asks for a zip that is not there is short. */
const SLACK_BYTES = 4096;

export class RemoteCodeSource implements CodeSource {
  readonly #options: RemoteCodeSourceOptions;
  readonly #peers = new Map<string, readonly string[]>();
  /** Until when, by HOST:PORT. */
  readonly #distrustedUs = new Map<string, number>();
  readonly #rejected = new Map<string, { readonly error: UserError; readonly untilUs: number }>();
  readonly #fetched: Readonly<Record<From, Counter>> | null;
  readonly #lies: Counter | null;

  constructor(options: RemoteCodeSourceOptions) {
    this.#options = options;
    const { metrics } = options;
    const from = (name: From): Counter => metrics!.counter('perch_code_fetched_total', name);
    this.#fetched = metrics === undefined ? null : { shelf: from('shelf'), peer: from('peer'), store: from('store') };
    this.#lies = metrics?.counter('perch_code_lies_total') ?? null;
  }

  /** Workers that may have it, as HOST:PORT, the likeliest first. */
  notePeers(sha256: string, peers: readonly string[]): void {
    this.#peers.delete(sha256);
    if (peers.length > 0) keep(this.#peers, sha256, peers.slice(0, LIMITS.codePeersMax));
  }

  /** Whatever a worker has unpacked is named by what it is, and may stay. */
  has(): boolean {
    return true;
  }

  async fetch(code: CodeRef): Promise<Buffer | UserError> {
    const rejected = this.#rejected.get(code.sha256);
    if (rejected !== undefined && this.#options.clock.nowUs() < rejected.untilUs) return rejected.error;
    this.#rejected.delete(code.sha256);
    const own = await this.#fromShelf(code.sha256);
    if (own !== null) return this.#count('shelf', own);
    const zip = (await this.#fromPeers(code)) ?? (await this.#fromStore(code));
    if (!(zip instanceof UserError)) this.#options.shelf?.put(code.sha256, zip);
    return zip;
  }

  /** Asked for again after a minute: it may have been uploaded anew, or another Perch may take it. */
  reject(code: CodeRef, why: string): UserError {
    const error = new UserError('InvalidZipFileException', `The zip of code ${code.sha256} ${why}; deploy it again`);
    this.#options.log.warn({ sha256: code.sha256 }, error.message);
    const untilUs = this.#options.clock.nowUs() + LIMITS.codeRejectedMs * 1000;
    keep(this.#rejected, code.sha256, { error, untilUs });
    return error;
  }

  async #fromShelf(sha256: string): Promise<Buffer | null> {
    const zip = (await this.#options.shelf?.get(sha256)) ?? null;
    if (zip === null || (await sha256Of(zip)) === sha256) return zip;
    this.#options.shelf?.drop(sha256);
    return null;
  }

  async #fromPeers(code: CodeRef): Promise<Buffer | null> {
    for (const peer of this.#peers.get(code.sha256) ?? []) {
      const untilUs = this.#distrustedUs.get(peer);
      if (untilUs !== undefined && this.#options.clock.nowUs() < untilUs) continue;
      const zip = await this.#fromPeer(code, peer);
      if (zip !== null) return this.#count('peer', zip);
    }
    return null;
  }

  async #fromPeer({ sha256, zipBytes }: CodeRef, peer: string): Promise<Buffer | null> {
    const { peerAgent, clock, log } = this.#options;
    const address = addressOf(peer);
    if (peerAgent === undefined || address === null) return null;
    const answer = await ask(peerAgent, address, clock, {
      method: 'GET',
      path: `/code/${sha256}`,
      answerBytesMax: zipBytes + SLACK_BYTES,
      timeoutMs: LIMITS.codePeerTimeoutMs,
      silenceMs: LIMITS.codePeerSilenceMs,
    });
    if (answer instanceof NoAnswer || answer.status !== 200) return null;
    if ((await sha256Of(answer.body)) === sha256) return answer.body;
    this.#lies?.add();
    log.warn({ peer, sha256 }, 'a worker gave bytes for a zip that are not what it is named');
    keep(this.#distrustedUs, peer, clock.nowUs() + LIMITS.codePeerDistrustMs * 1000);
    return null;
  }

  async #fromStore({ sha256 }: CodeRef): Promise<Buffer | UserError> {
    const { agent, store, clock } = this.#options;
    const again = new Again(clock);
    let why = '';
    for (let tries = 0; tries < STORE_TRIES; tries++) {
      if (tries > 0) await again.wait();
      const answer = await ask(agent, store, clock, {
        method: 'GET',
        path: PATHS.code + sha256,
        answerBytesMax: LIMITS.zipBytesMax,
        timeoutMs: LIMITS.codeTimeoutMs,
        // It may wait for others that are sent before.
        silenceMs: LIMITS.storeCallTimeoutMs,
      });
      if (answer instanceof NoAnswer) {
        why = answer.why;
      } else if (answer.status !== 200) {
        return codeErrorOf(refusalOf(answer), sha256);
      } else if ((await sha256Of(answer.body)) === sha256) {
        return this.#count('store', answer.body);
      } else {
        return new UserError('InvalidZipFileException', `The store's zip of code ${sha256} does not have its hash.`);
      }
    }
    const message = `The node that has the store, ${addressText(store)}, cannot be reached for the code: ${why}.`;
    return new UserError('ServiceUnavailableException', message);
  }

  #count(from: From, zip: Buffer): Buffer {
    this.#fetched?.[from].add();
    return zip;
  }
}

function codeErrorOf(error: UserError, sha256: string): UserError {
  if (error.code !== 'ResourceNotFoundException') return error;
  return new UserError('InvalidZipFileException', `Code ${sha256} is not stored; deploy it again`);
}

function addressOf(peer: string): Address | null {
  const [, ipv6, name, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(peer) ?? [];
  const host = ipv6 ?? name;
  return host === undefined ? null : { host, port: Number(port) };
}

/** The oldest goes where there are too many. */
function keep<T>(table: Map<string, T>, key: string, value: T): void {
  table.delete(key);
  table.set(key, value);
  if (table.size > LIMITS.codeNotesMax) table.delete(table.keys().next().value!);
}
