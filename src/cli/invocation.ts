/** What commands that invoke share: the payload that is sent, and what is made of the answer. */
import { readFileSync } from 'node:fs';
import type { Answer } from './client.ts';
import { refusal } from './client.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { printJson } from './terminal.ts';

export interface ShowOptions {
  readonly json?: boolean;
  readonly log?: boolean;
}

/** Prints what came back. An error of the function ends the command; `what` failed then, in words. */
export function showAnswer(what: (answer: Answer) => string, answer: Answer, options: ShowOptions): void {
  if (answer.status >= 300) throw refusal(answer);
  if (options.log === true) printLog(answer);
  if (options.json === true) printJson(summary(answer));
  if (answer.headers['x-amz-function-error'] !== undefined)
    throw functionError(what(answer), answer, options.json === true);
  if (options.json !== true && answer.body.length > 0)
    process.stdout.write(Buffer.concat([answer.body, Buffer.from('\n')]));
}

/** The bytes that an option names: JSON itself, `@FILE`, or `-` for stdin. */
export function payload(data = '{}'): Buffer {
  const bytes = data === '-' || data.startsWith('@') ? readPayload(data) : Buffer.from(data);
  try {
    JSON.parse(bytes.toString());
  } catch (error) {
    throw new CliError(
      EXIT.usage,
      `the payload is not JSON (${(error as Error).message}); quote it as in -d '{"a":1}'`,
    );
  }
  return bytes;
}

function readPayload(source: string): Buffer {
  try {
    return readFileSync(source === '-' ? 0 : source.slice(1));
  } catch (error) {
    throw new CliError(EXIT.usage, `cannot read the payload from ${source}: ${(error as Error).message}`);
  }
}

function printLog(answer: Answer): void {
  const log = Buffer.from(String(answer.headers['x-amz-log-result'] ?? ''), 'base64').toString();
  process.stderr.write(log === '' || log.endsWith('\n') ? log : log + '\n');
}

function functionError(what: string, answer: Answer, isShort: boolean): CliError {
  const text = answer.body.toString();
  const error = parseJson(text) as { errorType?: string; errorMessage?: string; trace?: unknown } | null;
  const type = error?.errorType ?? 'Error';
  const message = error?.errorMessage ?? text;
  const trace = Array.isArray(error?.trace) && !isShort ? error.trace.slice(1) : [];
  return new CliError(
    EXIT.functionFailed,
    `${what} failed: ${type}: ${message}`,
    trace.map((line) => `${line}\n`).join(''),
  );
}

/** The answer with its record, as one JSON document. */
function summary({ status, headers, body }: Answer): unknown {
  const number = (header: string): number | undefined =>
    headers[header] === undefined ? undefined : Number(headers[header]);
  return {
    status,
    requestId: headers['x-amzn-requestid'],
    version: headers['x-amz-executed-version'],
    functionError: headers['x-amz-function-error'] ?? null,
    core: number('x-perch-core'),
    start: headers['x-perch-start'],
    queuedUs: number('x-perch-queued-us'),
    startUs: number('x-perch-start-us'),
    runUs: number('x-perch-run-us'),
    ...chainSummary(headers),
    payload: parseJson(body.toString()),
  };
}

/** Of the answer of a chain: the step that ended it, and how long each that ran took; nothing of others, and where it is put in the queue. */
function chainSummary(headers: Answer['headers']): object {
  const list = (header: string): readonly number[] | undefined =>
    typeof headers[header] === 'string' ? headers[header].split(', ').map(Number) : undefined;
  const betweenUs = list('x-perch-steps-between-us');
  const runUs = list('x-perch-steps-run-us');
  if (betweenUs === undefined || runUs === undefined) return {};
  return {
    step: headers['x-perch-step'],
    stepNumber: Number(headers['x-perch-step-number']),
    steps: runUs.map((us, index) => ({ number: index + 1, betweenUs: betweenUs[index], runUs: us })),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text === '' ? null : text;
  }
}
