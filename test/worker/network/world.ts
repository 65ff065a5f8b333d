/**
 * A small world for the tests, which touches nothing of the machine's own networking: the main thread of the test moves
 * into a new network namespace, which plays the server; "beyond" is another one, behind a gateway.
 *
 *   instance ═ veth ═ server 203.0.113.2 ═══ 203.0.113.1 beyond: also 198.51.100.10 and 169.254.169.254
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { libc } from '../../../src/worker/sandbox/libc.ts';

export const ROOT_ONLY =
  process.platform === 'linux' && process.getuid?.() === 0 ? false : 'NEEDS ROOT: run the tests as root to check this';

export const BEYOND = '198.51.100.10';
export const GATEWAY = '203.0.113.1';
export const SERVER = '203.0.113.2';
export const METADATA = '169.254.169.254';
export const PORT = 4000;

/** Where an answer should come, however busy the machine. */
const ANSWER_MS = 20_000;
/** Where none should: what would come, comes within a millisecond. */
const SILENCE_MS = 600;

const CLONE_NEWNET = 0x4000_0000;
const STATION = fileURLToPath(new URL('./fixtures/station.cjs', import.meta.url));

/** A process that runs commands in a namespace. */
export class Station {
  readonly processId: number;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.processId = child.pid ?? 0;
    const lines = readline.createInterface({ input: child.stdout as NodeJS.ReadableStream });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  async line(): Promise<any> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the station is gone');
    return JSON.parse(value);
  }

  ask(command: string, rest: object = {}): Promise<any> {
    this.#child.stdin?.write(`${JSON.stringify({ command, ...rest })}\n`);
    return this.line();
  }

  /** What an answer says, or why there is none: an error's name, or 'silence'. */
  tcp(address: string, port = PORT): Promise<string> {
    return this.ask('tcp', { address, port, patienceMs: ANSWER_MS });
  }

  udp(address: string, port = PORT): Promise<string> {
    return this.ask('udp', { address, port, patienceMs: ANSWER_MS });
  }

  /** For what should not be answered: over both. `from`: an address of its own. */
  async probe(address: string, from?: string, port = PORT): Promise<{ tcp: string; udp: string }> {
    const rest = { address, port, from, patienceMs: SILENCE_MS };
    return { tcp: await this.ask('tcp', rest), udp: await this.ask('udp', rest) };
  }

  listen(port = PORT): Promise<string> {
    return this.ask('listen', { port });
  }

  /** `ip` in its namespace. */
  ip(...words: string[]): string {
    return run('nsenter', `--net=/proc/${this.processId}/ns/net`, 'ip', ...words);
  }

  namespace(): number {
    return openSync(`/proc/${this.processId}/ns/net`, 'r');
  }

  async end(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** In a new namespace, or (own: false) in the one of the caller. */
export async function startStation(own = true): Promise<Station> {
  const [command, ...args] = own ? ['unshare', '--net', process.execPath, STATION] : [process.execPath, STATION];
  const station = new Station(spawn(command as string, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
  await station.line();
  return station;
}

/** Moves the calling thread; whatever it starts afterwards is there too. */
export async function becomeServer(): Promise<{ beyond: Station; end(): Promise<void> }> {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  must(libc?.unshare(CLONE_NEWNET));
  run('ip', 'link', 'set', 'lo', 'up');
  const beyond = await startStation();
  run('ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'out0', 'netns', String(beyond.processId));
  run('ip', 'addr', 'add', `${SERVER}/24`, 'dev', 'up0');
  run('ip', 'link', 'set', 'up0', 'up');
  beyond.ip('link', 'set', 'lo', 'up');
  for (const address of [BEYOND, METADATA]) beyond.ip('addr', 'add', `${address}/32`, 'dev', 'lo');
  beyond.ip('addr', 'add', `${GATEWAY}/24`, 'dev', 'out0');
  beyond.ip('link', 'set', 'out0', 'up');
  run('ip', 'route', 'add', 'default', 'via', GATEWAY);
  await beyond.listen();
  return {
    beyond,
    async end() {
      await beyond.end();
      must(libc?.setns(home, CLONE_NEWNET));
      closeSync(home);
    },
  };
}

/** A namespace with no process in it: lives as long as its descriptor. */
export function makeNamespace(): number {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  must(libc?.unshare(CLONE_NEWNET));
  const made = openSync('/proc/thread-self/ns/net', 'r');
  must(libc?.setns(home, CLONE_NEWNET));
  closeSync(home);
  return made;
}

/** Waits for what will come, however long a busy machine takes. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function must(result: number | undefined): void {
  if (result !== 0) throw new Error(`error ${result}`);
}
