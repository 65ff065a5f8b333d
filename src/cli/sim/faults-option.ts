/** `--fault KIND:option=value,…` as often as one likes, and `--faults FILE`: a list of the same in JSON, texts or objects. */
import { readFileSync } from 'node:fs';
import { CliError, EXIT } from '../exit-codes.ts';

export interface FaultOptions {
  readonly fault?: readonly string[];
  readonly faults?: string;
}

/** As texts; what they say is looked at with the set-up. */
export function faultsOf({ fault = [], faults }: FaultOptions): readonly string[] {
  return faults === undefined ? fault : [...listIn(faults).map((each) => textOf(faults, each)), ...fault];
}

function listIn(file: string): readonly unknown[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(EXIT.usage, `${file} cannot be read: ${(error as Error).message}`);
  }
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list)) return list;
  } catch (error) {
    throw new CliError(EXIT.usage, `${file} is no JSON: ${(error as Error).message}`);
  }
  throw new CliError(
    EXIT.usage,
    `${file} has to be a JSON list: [{"kind": "crash", "server": 3, "at": 2, "for": 1}, …]`,
  );
}

function textOf(file: string, fault: unknown): string {
  if (typeof fault === 'string') return fault;
  const { kind, ...options } = (fault ?? {}) as Record<string, unknown>;
  const isPlain = Object.values(options).every((value) => typeof value === 'number' || typeof value === 'string');
  if (typeof kind !== 'string' || !isPlain) {
    throw new CliError(EXIT.usage, `${file}: ${JSON.stringify(fault)} is no fault: {"kind": "crash", "server": 3, …}`);
  }
  const parts = Object.entries(options).map(([key, value]) => `${key}=${value as string | number}`);
  return parts.length === 0 ? kind : `${kind}:${parts.join(',')}`;
}
