/**
 * The logs of functions: text in files, one folder a function, with a bound on their size: when the newest file
 * is full it becomes the old one, and the old one goes. Survive a restart; after a `kill -9` the last moments
 * (what was appended and not yet flushed) may be missing, never more.
 */
export interface LogStore {
  /** Whole lines, each with its line end. Returns at once; kept in memory until the next flush (50 ms, or 512 KiB). */
  append(functionName: string, text: string): void;
  /** The last lines, oldest first, each with its line end. */
  tail(functionName: string, lineCount: number): Promise<string>;
  /** What is appended from now on; returns the way to stop. */
  follow(functionName: string, listener: (text: string) => void): () => void;
  delete(functionName: string): Promise<void>;
  close(): Promise<void>;
}
