import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Answer } from '../client.ts';
import { Client, refusal } from '../client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { invokePath } from '../lambda-api.ts';
import type { EndpointOptions } from '../options.ts';
import { withEndpoint } from '../options.ts';
import { printJson } from '../terminal.ts';

interface InvokeOptions extends EndpointOptions {
  readonly data?: string;
  readonly async?: boolean;
  readonly log?: boolean;
  readonly qualifier?: string;
}

export function register(program: Command): void {
  const command = program
    .command('invoke')
    .description('run a function and print what it returns')
    .argument('<name>', 'the function')
    .option('-d, --data <json>', 'the payload: JSON, @FILE, or - for stdin (default {})')
    .option('--async', 'put it in the queue and do not wait for the result')
    .option('--log', 'print the end of its log on stderr')
    .option('--qualifier <version>', 'run this version instead of $LATEST')
    .addHelpText('after', '\nExits with 1 where the function fails; its error is then on stderr.');
  withEndpoint(command).action(invoke);
}

async function invoke(name: string, options: InvokeOptions): Promise<void> {
  const client = new Client(options.endpoint);
  const answer = await client.send({
    method: 'POST',
    path: invokePath(name, options.qualifier),
    headers: {
      'content-type': 'application/json',
      'x-amz-invocation-type': options.async === true ? 'Event' : 'RequestResponse',
      'x-amz-log-type': options.log === true ? 'Tail' : 'None',
    },
    body: payload(options.data),
  });
  if (answer.status >= 300) throw refusal(answer);
  if (options.log === true) printLog(answer);
  if (options.json === true) printJson(summary(answer));
  if (answer.headers['x-amz-function-error'] !== undefined) throw functionError(name, answer, options);
  if (options.json !== true && answer.body.length > 0)
    process.stdout.write(Buffer.concat([answer.body, Buffer.from('\n')]));
}

function payload(data = '{}'): Buffer {
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

function functionError(name: string, answer: Answer, options: InvokeOptions): CliError {
  const text = answer.body.toString();
  const error = parseJson(text) as { errorType?: string; errorMessage?: string; trace?: unknown } | null;
  const type = error?.errorType ?? 'Error';
  const message = error?.errorMessage ?? text;
  const trace = Array.isArray(error?.trace) && options.json !== true ? error.trace.slice(1) : [];
  return new CliError(
    EXIT.functionFailed,
    `function '${name}' failed: ${type}: ${message}`,
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
    payload: parseJson(body.toString()),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text === '' ? null : text;
  }
}
