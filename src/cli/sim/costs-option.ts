/** `--costs free|measured|FILE`. */
import { readFileSync } from 'node:fs';
import { type Costs, COST_NAMES, FREE } from '../../sim/costs.ts';
import { CliError, EXIT } from '../exit-codes.ts';

const CALIBRATION = new URL('../../sim/calibration.json', import.meta.url);
const CALIBRATE = "'npm run bench -- calibrate' measures them on this machine";

export function costsOf(text: string): Costs {
  if (text === 'free') return FREE;
  if (text === 'measured')
    return costsIn('the calibration', readOr(CALIBRATION, `nothing is measured yet: ${CALIBRATE}`));
  return costsIn(text, readOr(text, `there is no file ${text}: --costs takes free, measured, or a JSON file of costs`));
}

function readOr(file: string | URL, message: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new CliError(EXIT.usage, message);
    throw new CliError(EXIT.usage, `${String(file)} cannot be read: ${(error as Error).message}`);
  }
}

/** The costs alone, or an object that has them as its `costs`, with where they are from beside them. */
function costsIn(name: string, text: string): Costs {
  const given = objectIn(name, text);
  const inner = given['costs'];
  const costs = (typeof inner === 'object' && inner !== null ? inner : given) as Record<string, unknown>;
  const unknown = Object.keys(costs).filter((key) => !(COST_NAMES as readonly string[]).includes(key));
  const missing = COST_NAMES.filter((key) => !Object.hasOwn(costs, key));
  const all = `costs are ${COST_NAMES.join(', ')}`;
  if (unknown.length > 0) throw new CliError(EXIT.usage, `${name} has ${unknown.join(', ')}, which is no cost; ${all}`);
  if (missing.length > 0) throw new CliError(EXIT.usage, `${name} lacks ${missing.join(', ')}; ${all}`);
  for (const [key, value] of Object.entries(costs)) {
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) continue;
    throw new CliError(EXIT.usage, `${name}: ${key} is ${JSON.stringify(value)}; a cost is microseconds, 0 or more`);
  }
  // In the order of the table, so that what is printed does not depend on the file.
  return Object.fromEntries(COST_NAMES.map((key) => [key, costs[key]])) as unknown as Costs;
}

function objectIn(name: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new CliError(EXIT.usage, `${name} is no JSON: ${(error as Error).message}`);
  }
  throw new CliError(EXIT.usage, `${name} has to be a JSON object: {"networkUs": 50, …}`);
}
