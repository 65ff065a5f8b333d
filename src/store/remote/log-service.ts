/** The logs of functions, for other nodes: batches from workers, each appended once; the last lines and what follows them for gateways. */
import { isObject, parseJson } from '../../base/json.ts';
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { LogStore } from '../logs.ts';
import { unseen } from '../unseen.ts';
import { type FollowLine, type LogBatchHead, NAME_PATTERN } from './protocol.ts';

/** A reader that is this far behind is cut off; it comes again, and says what it saw last. */
const BEHIND_BYTES_MAX = 4 * 1024 * 1024;
/** A line of the stream has a limit, and JSON writes some characters as six. */
const PIECE_LENGTH: number = LIMITS.storeLineBytesMax / 8;
/** Lives of senders whose last batch is remembered. */
const SENDERS_MAX = 65_536;
const SENDER_LENGTH_MAX = 64;

export class LogService {
  readonly #logs: LogStore;
  readonly #clock: Clock;
  /** The number of the last batch of each, the one that spoke last at the end. */
  readonly #senders = new Map<string, number>();
  readonly #followers = new Set<ServerResponse>();

  constructor(logs: LogStore, clock: Clock) {
    this.#logs = logs;
    this.#clock = clock;
  }

  get followerCount(): number {
    return this.#followers.size;
  }

  /** False if it is no batch: nothing of it is appended. */
  append(body: Buffer): boolean {
    const batch = readBatch(body);
    if (batch === null) return false;
    const { sender, number, texts } = batch;
    // It came already, and only the answer did not arrive.
    if (number <= (this.#senders.get(sender) ?? 0)) return true;
    for (const { functionName, text } of texts) this.#logs.append(functionName, text);
    this.#senders.delete(sender);
    this.#senders.set(sender, number);
    if (this.#senders.size > SENDERS_MAX) this.#senders.delete(this.#senders.keys().next().value!);
    return true;
  }

  tail(functionName: string, lineCount: number): Promise<string> {
    return this.#logs.tail(functionName, lineCount);
  }

  delete(functionName: string): Promise<void> {
    return this.#logs.delete(functionName);
  }

  /** Lines of JSON: the last lines of the log in one, then what is appended. */
  follow(functionName: string, lineCount: number, response: ServerResponse): void {
    // Listening starts before the last lines are read, so that nothing falls between the two.
    let early: string[] | null = [];
    const write = (line: FollowLine): void => {
      response.write(JSON.stringify(line) + '\n');
      if (response.writableLength > BEHIND_BYTES_MAX) response.destroy();
    };
    const writeText = (text: string): void => {
      for (const piece of pieces(text)) write({ text: piece });
    };
    const stopFollowing = this.#logs.follow(functionName, (text) => {
      if (early === null) writeText(text);
      else early.push(text);
    });
    const stopBeating = this.#clock.every(LIMITS.linkBeatMs, () => {
      if (!response.writableNeedDrain) write({ beat: 1 });
    });
    this.#followers.add(response);
    response.on('close', () => {
      stopFollowing();
      stopBeating();
      this.#followers.delete(response);
    });
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    response.flushHeaders();
    this.#logs.tail(functionName, lineCount).then(
      (tail) => {
        const held = unseen(tail, early ?? []);
        early = null;
        write({ tail: tail.slice(-PIECE_LENGTH) });
        for (const text of held) writeText(text);
      },
      () => response.destroy(),
    );
  }

  close(): void {
    for (const response of this.#followers) response.end();
  }
}

interface Batch {
  readonly sender: string;
  readonly number: number;
  readonly texts: readonly { readonly functionName: string; readonly text: string }[];
}

function readBatch(body: Buffer): Batch | null {
  const headEnd = body.indexOf('\n');
  const head = headEnd < 0 ? undefined : parseJson(body.toString('utf8', 0, headEnd));
  if (!isHead(head)) return null;
  const { sender, number, texts } = head;
  const read: { functionName: string; text: string }[] = [];
  let at = headEnd + 1;
  for (const { functionName, bytes } of texts) {
    read.push({ functionName, text: body.toString('utf8', at, at + bytes) });
    at += bytes;
  }
  return at === body.length ? { sender, number, texts: read } : null;
}

function isHead(value: unknown): value is LogBatchHead {
  if (!isObject(value)) return false;
  const { sender, number, texts } = value;
  if (typeof sender !== 'string' || sender.length > SENDER_LENGTH_MAX) return false;
  return isCount(number) && number > 0 && Array.isArray(texts) && texts.every(isText);
}

function isText(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { functionName, bytes } = value;
  return typeof functionName === 'string' && NAME_PATTERN.test(functionName) && isCount(bytes);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Never between the halves of a character. */
function* pieces(text: string): Iterable<string> {
  for (let at = 0; at < text.length;) {
    let end = Math.min(text.length, at + PIECE_LENGTH);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last < 0xdc00) end--;
    yield text.slice(at, end);
    at = end;
  }
}
