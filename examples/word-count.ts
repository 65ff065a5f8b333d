/** Counts words. TypeScript is bundled when it is deployed; there is nothing to build or to install. */
interface Event {
  readonly text: string;
  /** How many of the most frequent words to return. */
  readonly top?: number;
}

interface Result {
  readonly words: number;
  readonly distinct: number;
  readonly top: readonly (readonly [word: string, count: number])[];
}

const segmenter = new Intl.Segmenter('en', { granularity: 'word' });

export async function handler(event: Event): Promise<Result> {
  if (typeof event.text !== 'string')
    throw new TypeError('the event needs a text, as in {"text": "to be or not to be"}');
  const counts = new Map<string, number>();
  let words = 0;
  for (const { segment, isWordLike } of segmenter.segment(event.text)) {
    if (isWordLike !== true) continue;
    const word = segment.toLowerCase();
    counts.set(word, (counts.get(word) ?? 0) + 1);
    words++;
  }
  const byCount = [...counts].sort(([, a], [, b]) => b - a);
  return { words, distinct: counts.size, top: byCount.slice(0, event.top ?? 3) };
}
