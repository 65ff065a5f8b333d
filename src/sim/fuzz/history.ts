/** The last things that happened, to be told when something goes wrong. A text is made only then. */
import { ClusterKind } from '../../wire/cluster-frame.ts';
import type { Span } from '../../wire/cluster/span.ts';

const KIND_NAMES = new Map<number, string>(Object.entries(ClusterKind).map(([name, kind]) => [kind, name]));
const FRAME_BYTES_SHOWN = 32;

interface Entry {
  readonly step: number;
  readonly nowUs: number;
  readonly text: () => string;
}

export class History {
  step = 0;
  readonly #nowUs: () => number;
  readonly #entries: Entry[] = [];
  readonly #countMax: number;
  #next = 0;

  constructor(countMax: number, nowUs: () => number) {
    this.#countMax = countMax;
    this.#nowUs = nowUs;
  }

  add(text: () => string): void {
    this.#entries[this.#next] = { step: this.step, nowUs: this.#nowUs(), text };
    this.#next = (this.#next + 1) % this.#countMax;
  }

  frame(from: string, to: string, kind: number, { bytes }: Span): void {
    this.add(() => `${from} → ${to}  ${KIND_NAMES.get(kind) ?? kind} ${wordsOf(bytes)}`);
  }

  lines(): string[] {
    const { length } = this.#entries;
    const first = length < this.#countMax ? 0 : this.#next;
    return Array.from({ length }, (_, i) => this.#entries[(first + i) % length]!).map(
      ({ step, nowUs, text }) => `${String(step).padStart(7)}  ${(nowUs / 1000).toFixed(3).padStart(11)} ms  ${text()}`,
    );
  }
}

/** As docs/WIRE.md draws them: words of 32 bits. */
function wordsOf(bytes: Buffer): string {
  const end = Math.min(bytes.length, FRAME_BYTES_SHOWN);
  const words = [];
  for (let at = 0; at + 4 <= end; at += 4) words.push(bytes.readUInt32LE(at).toString(16).padStart(8, '0'));
  return words.join(' ') + (bytes.length > end ? ' …' : '');
}
