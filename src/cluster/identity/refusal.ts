/** Why a connection between nodes was refused: a word for logs and metrics, a sentence for people. No secrets. */
import type { Log } from '../../telemetry/log.ts';

export const REFUSALS = {
  'no-certificate': 'it showed no certificate',
  'self-signed': 'its certificate is signed by itself and by no authority',
  'other-authority': 'its certificate is from another authority, so it is of another cluster or of none',
  'other-cluster': 'its certificate names another cluster',
  'wrong-role': 'its certificate is for another role',
  'wrong-address': 'its certificate is for other addresses',
  expired: 'its certificate has expired',
  'not-yet-valid': 'its certificate is not valid yet, or a clock is wrong',
  revoked: 'its certificate was revoked',
  unfit: 'its certificate is not of the form that Perch gives them',
  'not-tls': 'it does not speak TLS 1.3',
  silent: 'it did not finish the handshake in time',
  crowded: 'too many are in their handshakes, and it was the oldest of them',
  'closed-early': 'it closed the connection during the handshake, or refuses this node',
} as const;

export type RefusalReason = keyof typeof REFUSALS;

export class Refusal {
  readonly reason: RefusalReason;
  readonly message: string;

  /** `detail` goes on where the sentence ends: names, roles and dates of certificates. */
  constructor(reason: RefusalReason, detail = '') {
    this.reason = reason;
    this.message = detail === '' ? REFUSALS[reason] : `${REFUSALS[reason]}: ${detail}`;
  }
}

/** So many lines in so long: whoever knocks without end shall not fill the disk with our log. */
const LINES_MAX = 20;
const WINDOW_MS = 10_000;

/** Refusals on the platform's log, bounded; what is left out is counted on the next line. */
export class RefusalLog {
  readonly #log: Pick<Log, 'warn'>;
  #windowEndMs = -Infinity;
  #lineCount = 0;
  #leftOutCount = 0;

  constructor(log: Pick<Log, 'warn'>) {
    this.#log = log;
  }

  add(refusal: Refusal, remote: string, nowMs: number): void {
    if (nowMs >= this.#windowEndMs) {
      this.#windowEndMs = nowMs + WINDOW_MS;
      this.#lineCount = 0;
    }
    if (this.#lineCount === LINES_MAX) {
      this.#leftOutCount++;
      return;
    }
    this.#lineCount++;
    const fields = { reason: refusal.reason, remote, ...(this.#leftOutCount > 0 && { leftOut: this.#leftOutCount }) };
    this.#leftOutCount = 0;
    this.#log.warn(fields, `refused a node: ${refusal.message}`);
  }
}
