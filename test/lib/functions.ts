/** Functions on a platform that a test started: deploys, invokes and reads them as any HTTP client would. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { startTestPlatform, type TestPlatform } from './platform.ts';
import { makeZip } from './zip.ts';

const FUNCTIONS = '/2015-03-31/functions';
export const ROLE = 'arn:aws:iam::000000000000:role/test';

export interface Invoked {
  readonly status: number;
  readonly functionError: string | null;
  /** `cold`, `copy` or `warm`; null where it was refused. */
  readonly start: string | null;
  readonly value: any;
}

export interface Deployment {
  /** In its package, by name: index.mjs, index.py, … */
  readonly files: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** More fields of CreateFunction. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export interface Copies {
  readonly copyable: boolean | null;
  readonly reasons: readonly string[];
  readonly zygote: 'none' | 'initialising' | 'ready';
  readonly waiting: number;
}

/** A platform for the tests of one file, which there is while they run; none where they are skipped. `args`: more arguments of `perch up`. */
export function functionsOnPlatform(
  skip: string | boolean,
  args: readonly string[] = [],
): {
  readonly functions: Functions;
  readonly platform: { readonly url: string };
} {
  let started: TestPlatform | undefined;
  before(async () => {
    if (skip === false) started = await startTestPlatform({ args });
  });
  after(() => started?.stop());
  const platform = {
    get url() {
      assert.ok(started !== undefined, 'there is no platform');
      return started.url;
    },
  };
  return { functions: new Functions(platform), platform };
}

export class Functions {
  readonly #platform: { readonly url: string };

  /** Its URL is asked for when it is used. */
  constructor(platform: { readonly url: string }) {
    this.#platform = platform;
  }

  get #url(): string {
    return this.#platform.url;
  }

  async request(method: string, suffix: string, body?: unknown): Promise<Response> {
    return fetch(this.#url + suffix, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }

  /** Of a request that succeeds; null where the answer is empty. */
  async json(method: string, suffix: string, body?: unknown): Promise<any> {
    const response = await this.request(method, suffix, body);
    const text = await response.text();
    assert.ok(response.ok, `${method} ${suffix}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  /** Node, or Python where its package has an index.py. */
  async deploy(name: string, { files, environment = {}, more = {} }: Deployment): Promise<any> {
    return this.json('POST', FUNCTIONS, {
      FunctionName: name,
      Runtime: 'index.py' in files ? 'python3.11' : 'nodejs24.x',
      Handler: 'index.handler',
      Role: ROLE,
      Code: { ZipFile: (await makeZip(files)).toString('base64') },
      Environment: { Variables: environment },
      Timeout: 60,
      ...more,
    });
  }

  async updateCode(name: string, files: Readonly<Record<string, string>>): Promise<void> {
    const ZipFile = (await makeZip(files)).toString('base64');
    await this.json('PUT', `${FUNCTIONS}/${name}/code`, { ZipFile });
  }

  async configure(name: string, change: Readonly<Record<string, unknown>>): Promise<void> {
    await this.json('PUT', `${FUNCTIONS}/${name}/configuration`, change);
  }

  async delete(name: string): Promise<void> {
    await this.json('DELETE', `${FUNCTIONS}/${name}`);
  }

  async invoke(name: string, event: unknown = {}, qualifier?: string): Promise<Invoked> {
    const query = qualifier === undefined ? '' : `?Qualifier=${qualifier}`;
    const response = await this.request('POST', `${FUNCTIONS}/${name}/invocations${query}`, event);
    return {
      status: response.status,
      functionError: response.headers.get('x-amz-function-error'),
      start: response.headers.get('x-perch-start'),
      value: await response.json(),
    };
  }

  /** The value of an invocation that succeeds. */
  async call(name: string, event: unknown = {}, qualifier?: string): Promise<any> {
    const { status, functionError, value } = await this.invoke(name, event, qualifier);
    assert.deepEqual([status, functionError], [200, null], JSON.stringify(value));
    return value;
  }

  async copies(name: string): Promise<Copies> {
    return (await this.json('GET', `/perch/v1/functions/${name}/copies`)) as Copies;
  }

  /** Lines of its log that hold the text. What the platform writes itself may come a moment after the answer. */
  async logLines(name: string, text: string): Promise<readonly string[]> {
    const log = await (await this.request('GET', `/perch/v1/logs/${name}?lines=1000`)).text();
    return log.split('\n').filter((line) => line.includes(text));
  }

  async metric(name: string): Promise<number> {
    const text = await (await this.request('GET', '/metrics')).text();
    return Number(new RegExp(`^${name.replaceAll(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
  }

  /** So that a first invocation finds a stem cell of each: `node`, `python`, `node, network host` … */
  async cellsWait(...runtimes: readonly string[]): Promise<void> {
    for (const runtime of runtimes) {
      const waiting = `perch_cells{runtime="${runtime}"}`;
      await until(`a cell of ${runtime} waits`, async () => (await this.metric(waiting)) > 0);
    }
  }
}

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`it never came that ${what}`);
}
