/**
 * Functions that use up what they can, and say what is not so: each pays for itself, a neighbour that is called all the
 * while keeps answering from the one instance it has, and the platform is whole afterwards. See exhaustion.ts.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Exhaustion, EXHAUSTIONS, FORGERIES, ZYGOTE_EXHAUSTIONS } from './exhaustion.ts';
import { type Answer, skip, World } from './world.ts';

const MEMORY_MB = 128;
const TRIES_MAX = 50;

type Language = 'node' | 'python';

/** Its body runs unless the event says that all is fine. */
function handlerOf(language: Language, body: string): Record<string, string> {
  if (language === 'node') {
    return { 'index.cjs': `exports.handler = async (event) => { if (event.fine) return 'fine'; ${body} };` };
  }
  const indented = body.replaceAll('\n', '\n    ');
  return { 'index.py': `def handler(event, context):\n    if event.get('fine'):\n        return 'fine'\n    result = None\n    ${indented}\n    return result` }; // prettier-ignore
}

const NO_ZYGOTE = 'no zygote';

/** Its body runs while it initialises, in a zygote. */
function initialiserOf(language: Language, body: string): Record<string, string> {
  if (language === 'node') {
    const source = `if (!process.argv[1].endsWith('cell.cjs')) throw new Error('${NO_ZYGOTE}');
      ${body}
      exports.handler = async () => 'fine';`;
    return { 'index.cjs': source };
  }
  const source = `import sys\nif not sys.argv[0].endswith('cell.py'):\n    raise RuntimeError('${NO_ZYGOTE}')
${body}
def handler(event, context):
    return 'fine'`;
  return { 'index.py': source };
}

function endOf(answer: Answer): string {
  return answer.error === null ? String(answer.value) : answer.value.errorType;
}

describe('exhaustion and forgery', { skip }, () => {
  let world: World;
  let stopNeighbour: () => Promise<void>;
  before(async () => {
    world = await World.begin();
    const source = 'let count = 0; exports.handler = async () => ++count;';
    await world.deploy(
      'neighbour',
      { 'index.cjs': source },
      { runtime: 'node', place: 'copy', handler: 'index.handler' },
    );
    stopNeighbour = watchNeighbour(world);
  });
  after(async () => {
    await stopNeighbour();
    const { pid } = world.platform;
    await world.end();
    const name = `perch-${pid}-`;
    assert.deepEqual(
      readdirSync('/run').filter((each) => each.startsWith(name)),
      [],
    );
    const { stdout } = spawnSync('find', ['/sys/fs/cgroup', '-maxdepth', '5', '-name', `${name}*`]);
    assert.equal(String(stdout), '', 'cgroups were left');
    assert.equal(String(spawnSync('pgrep', ['-f', '^sleep 1147$']).stdout), '', 'a child was left');
  });

  async function attack(
    name: string,
    files: Record<string, string>,
    { runtime, place, timeoutS }: { runtime: Language; place: 'copy' | 'fresh'; timeoutS: number },
  ): Promise<Answer> {
    // prettier-ignore
    await world.deploy(name, files, { runtime, place, handler: 'index.handler', timeoutS, memoryMb: MEMORY_MB });
    return world.invoke(name);
  }

  async function expectEnd(row: Exhaustion, name: string, answer: Answer): Promise<void> {
    assert.match(endOf(answer), row.ends, JSON.stringify(answer.value));
    assert.equal(await world.value(name, { fine: true }), 'fine');
  }

  for (const runtime of ['node', 'python'] as const) {
    for (const [index, row] of EXHAUSTIONS.entries()) {
      // Turn and turn about, to keep the suite short: both places in both runtimes, each row in both.
      const place = (index + (runtime === 'node' ? 0 : 1)) % 2 === 0 ? 'copy' : 'fresh';
      test(`${runtime}, ${place}: ${row.tried}`, async () => {
        const name = `${runtime}-exhaustion-${index}`;
        await expectEnd(row, name, await attack(name, handlerOf(runtime, row[runtime]), { runtime, place, timeoutS: row.timeoutS })); // prettier-ignore
      });
    }

    for (const [index, row] of FORGERIES.entries()) {
      for (const place of ['copy', 'fresh'] as const) {
        test(`${runtime}, ${place}: ${row.tried}`, async () => {
          const name = `${runtime}-forgery-${place}-${index}`;
          await expectEnd(row, name, await attack(name, handlerOf(runtime, row[runtime]), { runtime, place, timeoutS: row.timeoutS })); // prettier-ignore
        });
      }
    }
  }

  /**
   * Where no stem cell waits a function begins in a process of its own, and its zygote is made beside it, if at all: then it is tried again. One
   * whose end were hidden, since the invocation goes on in a process of its own, would be so each time.
   */
  async function attackAsZygote(runtime: Language, row: Exhaustion, name: string): Promise<void> {
    for (let count = 0; count < TRIES_MAX; count++) {
      const where = { runtime, place: 'fresh', timeoutS: row.timeoutS } as const;
      const answer = await attack(`${name}-${count}`, initialiserOf(runtime, row[runtime]), where);
      const isPlain = answer.error !== null && answer.value.errorMessage.includes(NO_ZYGOTE);
      const isEnd = row.ends.test(endOf(answer)) && (await world.copyable(`${name}-${count}`)) !== null;
      if (isPlain && !isEnd) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        continue;
      }
      return assert.match(endOf(answer), row.ends, `${runtime}: ${row.tried}: ${JSON.stringify(answer.value)}`);
    }
    assert.fail(`${runtime}: ${row.tried}: no stem cell came, or nobody heard of its end`);
  }

  test('zygotes: each pays for itself', async () => {
    const all = (['node', 'python'] as const).flatMap((runtime) =>
      ZYGOTE_EXHAUSTIONS.map((row, index) => ({ runtime, row, name: `${runtime}-zygote-${index}` })),
    );
    // One of the slow ones in each runtime: together they hold two cores for as long as initialisation may take.
    const slowRows = ZYGOTE_EXHAUSTIONS.filter(({ isSlow }) => isSlow);
    const isIts = ({ runtime, row }: (typeof all)[number]): boolean => row === slowRows[runtime === 'node' ? 0 : 1];
    const begin = ({ runtime, row, name }: (typeof all)[number]): Promise<void> => attackAsZygote(runtime, row, name);
    const slow = Promise.all(all.filter(isIts).map(begin));
    slow.catch(() => {});
    for (const each of all.filter(({ row }) => !row.isSlow)) await begin(each);
    await slow;
  });
});

function watchNeighbour(world: World): () => Promise<void> {
  let running = true;
  const watching = (async () => {
    let last = 0;
    for (; running; await new Promise((resolve) => setTimeout(resolve, 20))) {
      const count = await world.value('neighbour');
      assert.ok(count > last, 'the neighbour lost its instance');
      last = count;
    }
  })();
  watching.catch(() => {});
  return async () => {
    running = false;
    await watching;
  };
}
