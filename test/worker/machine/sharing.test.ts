/** The sharing machine by example: what each policy does, read from top to bottom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsOf, SharingShell } from './sharing-shell.ts';

test('lend: a holder that sleeps for long enough lends its core, and has it back with no action when it wakes', () => {
  const shell = new SharingShell(limitsOf('lend'));
  shell.began(0);
  shell.began(1);
  assert.deepEqual(shell.log, [], 'the agent pins to the own core anyway');
  shell.slept(0);
  shell.wait(999);
  assert.deepEqual(shell.log, []);
  shell.wait(1);
  assert.deepEqual(shell.last, ['open 2']);
  shell.began(2);
  assert.deepEqual(shell.last, ['place 2 0 background']);
  shell.woke(0);
  assert.deepEqual(shell.last, [], 'the kernel does it');
  assert.equal(shell.picture, '0:0f 1:1f 2:0b');
});

test('lend: a displaced borrower goes to an idle core', () => {
  const shell = new SharingShell(limitsOf('lend'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.slept(0);
  shell.wait(1000);
  shell.began(2);
  shell.slept(1);
  shell.woke(0);
  assert.equal(shell.picture, '0:0f (1:1f) 2:1b');
  shell.ended(1);
  assert.equal(shell.picture, '0:0f 2:1f');
});

test('lend: when the holder ends, its borrower takes the core over, and the lease is released when it has ended', () => {
  const shell = new SharingShell(limitsOf('lend'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.slept(0);
  shell.wait(1000);
  shell.began(2);
  shell.woke(0);
  shell.ended(0);
  assert.deepEqual(shell.last, ['place 2 0 foreground']);
  assert.ok(shell.machine.isKept(0));
  shell.ended(2);
  assert.deepEqual(shell.last, ['release 0', 'close 2', 'release 2']);
});

test('lend: a lease that is kept goes when the borrower sleeps for long enough', () => {
  const shell = new SharingShell(limitsOf('lend'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.slept(0);
  shell.wait(1000);
  shell.began(2);
  shell.ended(0);
  shell.slept(2);
  shell.wait(1000);
  assert.deepEqual(shell.last, ['release 0']);
  shell.began(0);
  assert.equal(shell.picture, '0:0f 1:1f (2:0b)');
});

test('lend: who polls, or only says that it sleeps, gives the foreground to who comes', () => {
  const shell = new SharingShell(limitsOf('lend'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.slept(0, true);
  shell.wait(1000);
  shell.began(2);
  assert.equal(shell.picture, '(0:0b) 1:1f 2:0f');
  shell.woke(0);
  assert.equal(shell.picture, '0:0f 1:1f 2:0b');
});

test('lend: who says that it sleeps has the foreground again when its guests have gone', () => {
  const shell = new SharingShell(limitsOf('lend'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.slept(0, true);
  shell.wait(1000);
  shell.began(2);
  shell.slept(2);
  assert.equal(shell.picture, '(0:0b) 1:1f (2:0f)', 'a guest that blocks keeps it, and has the core back at once');
  shell.ended(2);
  assert.equal(shell.picture, '(0:0f) 1:1f');
});

test('lend: a grant that was on its way when the holder woke is in the background until a core is there', () => {
  const shell = new SharingShell(limitsOf('lend'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.slept(0);
  shell.wait(1000);
  shell.woke(0);
  assert.deepEqual(shell.last, ['close 2']);
  shell.began(2);
  assert.equal(shell.picture, '0:0f 1:1f 2:0b');
  shell.slept(1);
  assert.equal(shell.picture, '0:0f (1:1f) 2:1b');
});

test('lend: who goes on with the work of one that ends has its seat, whoever waits', () => {
  const shell = new SharingShell(limitsOf('lend'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.slept(0);
  shell.wait(1000);
  shell.began(2);
  shell.woke(0);
  shell.ended(0, true);
  assert.equal(shell.last.at(-1), 'release 0', 'it is not kept for the borrower');
  shell.began(0);
  assert.equal(shell.picture, '0:0f 1:1f 2:0b');
  shell.ended(2, true);
  assert.ok(shell.machine.isOpen(2));
  shell.began(2);
  assert.equal(shell.picture, '0:0f 1:1f 2:0b');
  shell.ended(2, true);
  assert.ok(shell.machine.isOpen(2));
  shell.wait(1000);
  assert.ok(!shell.machine.isOpen(2), 'nobody came for it');
});

test('lend: a dedicated function lends nothing', () => {
  const shell = new SharingShell(limitsOf('lend'));
  shell.began(0, 'dedicated');
  shell.began(1);
  shell.slept(0);
  shell.slept(1);
  shell.wait(5000);
  assert.deepEqual(shell.log, ['open 2']);
  shell.began(2);
  shell.woke(1);
  assert.equal(shell.picture, '(0:0f) 1:1f 2:1b');
});

test('dedicated: no extra seat, and no action but the release', () => {
  const shell = new SharingShell(limitsOf('dedicated'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.slept(0);
  shell.wait(5000);
  shell.woke(0);
  shell.ended(0);
  assert.deepEqual(shell.log, ['release 0']);
});

test('packed: so many for each core from the start; who came first goes first, and the next takes the core at a sleep', () => {
  const shell = new SharingShell(limitsOf('packed', { perCore: 2, extraSeatCount: 2 }));
  assert.deepEqual(shell.log, ['open 2', 'open 3']);
  for (const seat of [0, 1, 2, 3]) shell.began(seat);
  assert.equal(shell.picture, '0:0f 1:1f 2:0b 3:1b');
  shell.slept(1);
  assert.equal(shell.picture, '0:0f (1:1b) 2:1f 3:1b', 'seat 2 came before seat 3, who waits there');
  shell.woke(1);
  assert.equal(shell.picture, '0:0f 1:1f 2:1b 3:1b');
  shell.ended(0);
  assert.equal(shell.picture, '1:1f 2:0f 3:1b');
  assert.deepEqual(shell.last.at(-1), 'release 0');
  shell.began(0);
  assert.equal(shell.picture, '0:0b 1:1f 2:0f 3:1b', 'a new one on an own seat does not overtake');
});

test('packed: who goes on with the work of one that ends has its place in the order, and nobody else has', () => {
  const shell = new SharingShell(limitsOf('packed', { coreCount: 1, perCore: 3 }));
  shell.began(0);
  shell.began(1);
  assert.equal(shell.machine.frontOf(0), 0);
  shell.ended(0, true);
  assert.equal(shell.machine.frontOf(0), 1, 'meanwhile the next one has the core');
  shell.began(0, 'shared', 1000);
  assert.equal(shell.machine.frontOf(0), 0, 'its chain came first');
  shell.ended(0, true);
  shell.began(0);
  assert.equal(shell.machine.frontOf(0), 1, 'somebody else is on the seat');
  shell.ended(1, true);
  shell.began(1, 'shared', 1000);
  assert.equal(shell.machine.frontOf(0), 1);
  shell.ended(1, true);
  shell.wait(20_000);
  shell.began(1, 'shared', 1000);
  assert.equal(shell.machine.frontOf(0), 0, 'it comes too late to be the one');
  shell.ended(0);
  shell.began(0, 'shared', 1000);
  assert.equal(shell.machine.frontOf(0), 1, 'who left was not to be followed');
});

test('packed: of those on a core who all sleep, one is in the foreground, whatever was said', () => {
  const shell = new SharingShell(limitsOf('packed', { coreCount: 1 }));
  for (const seat of [0, 1, 2]) shell.began(seat);
  for (const seat of [1, 2]) shell.slept(seat, true);
  assert.equal(shell.picture, '0:0f (1:0b) (2:0b)');
  shell.ended(0);
  assert.equal(shell.picture, '(1:0f) (2:0b)');
  shell.woke(2);
  assert.equal(shell.picture, '(1:0b) 2:0f');
});

test('preempt: who goes on with what others began comes behind those who have used less', () => {
  const shell = new SharingShell(limitsOf('preempt'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.used(0, 2500);
  shell.used(1, 2500);
  shell.tick();
  shell.began(2, 'shared', 9000);
  assert.match(shell.picture, /^0:0f 1:1f 2:\db$/);
  shell.began(3);
  assert.match(shell.picture, /3:\df/, 'who is new comes first');
});

test('preempt: the CPU time of who runs is due when it may have been overtaken, and somebody waits', () => {
  const shell = new SharingShell(limitsOf('preempt', { coreCount: 1, perCore: 3, quantumUs: 2000 }));
  const isDue = (): boolean => shell.machine.isServiceDue(0, shell.nowUs);
  shell.began(0);
  shell.wait(5000);
  assert.equal(isDue(), false, 'nobody waits');
  shell.began(1);
  assert.equal(isDue(), true, 'it may have run since it began');
  shell.used(0, 1500);
  assert.equal(isDue(), false, 'it needs half a millisecond for its first quantum');
  shell.wait(500);
  assert.equal(isDue(), true);
  shell.used(0, 3000);
  shell.wait(3000);
  assert.equal(isDue(), false, 'its time doubles at eight milliseconds');
  shell.wait(500);
  assert.equal(isDue(), true);
});

test('preempt: who comes goes to the foreground, and the one that has run longest to the pool', () => {
  const shell = new SharingShell(limitsOf('preempt'));
  assert.deepEqual(shell.log, ['open 2', 'open 3', 'open 4']);
  for (const seat of [0, 1]) shell.began(seat);
  shell.used(0, 9000);
  shell.used(1, 5000);
  shell.tick();
  shell.began(2);
  assert.equal(shell.picture, '0:0b 1:1f 2:0f');
  shell.used(2, 7999);
  shell.wait(2000);
  assert.equal(shell.picture, '0:0b 1:1f 2:0f', 'it has had four quanta when it has had 8000 µs');
  shell.used(2, 2);
  shell.wait(2000);
  assert.equal(shell.picture, '0:0f 1:1f 2:0b', 'as much as seat 0, which came first');
  shell.used(1, 11_000);
  shell.wait(2000);
  assert.equal(shell.picture, '0:0f 1:1b 2:1f', 'the least attained service resumes');
});

test('fair: everybody has all cores, with one priority', () => {
  const shell = new SharingShell(limitsOf('fair', { perCore: 2 }));
  shell.began(0);
  shell.began(2);
  shell.slept(0);
  shell.wait(5000);
  shell.ended(0);
  assert.deepEqual(shell.log, ['open 2', 'open 3', 'place 0 -1 foreground', 'place 2 -1 foreground', 'release 0']);
});

test('several cores are their invocation’s alone, and nobody is moved there', () => {
  const shell = new SharingShell(limitsOf('preempt', { coreCount: 3 }));
  shell.began(2);
  shell.began(3);
  shell.beganSeveral([0, 1]);
  assert.equal(shell.picture, '0:0f 2:2f 3:2b');
  shell.slept(0);
  assert.equal(shell.picture, '(0:0f) 2:2f 3:2b');
  shell.ended(0);
  assert.equal(shell.picture, '2:2f 3:0f');
});

test('a core that the operator has withdrawn: its holder stays, others leave, and what is kept is released', () => {
  const shell = new SharingShell(limitsOf('lend'));
  for (const seat of [0, 1]) shell.began(seat);
  shell.slept(0);
  shell.wait(1000);
  shell.began(2);
  shell.setOut(0, true);
  assert.equal(shell.picture, '(0:0f) 1:1f 2:1b');
  shell.setOut(0, false);
  shell.ended(0);
  assert.equal(shell.picture, '1:1f 2:0f');
  shell.setOut(0, true);
  assert.deepEqual(shell.last, ['release 0', 'place 2 1 background']);
});

test('spare, lend: each opens a seat for somebody else at once, who goes first', () => {
  const shell = new SharingShell(limitsOf('lend', { spareSeatCount: 2 }));
  shell.began(0, 'spare');
  assert.deepEqual(shell.last, ['open 2']);
  shell.began(1, 'spare');
  assert.deepEqual(shell.last, ['open 3']);
  assert.equal(shell.picture, '0:0f 1:1f');
  shell.began(2);
  assert.equal(shell.picture, '0:1f 1:1b 2:0f', 'of the spare ones, who came first has the core that is left');
  shell.began(3);
  assert.equal(shell.picture, '0:1b 1:1b 2:0f 3:1f');
  assert.equal(shell.open.size, 2, 'no more than there are cores');
  shell.slept(2);
  assert.equal(
    shell.picture,
    '0:0b 1:1b (2:0f) 3:1f',
    'it runs behind the one who sleeps, and makes room for it by itself',
  );
  shell.wait(1000);
  assert.deepEqual(shell.last, ['open 4'], 'as if it were a holder that sleeps');
});

test('spare, lend: the core of a spare one that ends stays with who was let in for it', () => {
  const shell = new SharingShell(limitsOf('lend', { spareSeatCount: 2 }));
  shell.began(0, 'spare');
  shell.began(1);
  shell.began(2);
  assert.equal(shell.picture, '0:0b 1:1f 2:0f');
  shell.ended(0);
  assert.ok(shell.machine.isKept(0));
  shell.ended(2);
  assert.deepEqual(shell.last, ['release 0', 'close 2', 'release 2']);
});

test('spare: it goes to any core that nobody uses, and behind everybody who comes', () => {
  const shell = new SharingShell(limitsOf('packed', { perCore: 2, extraSeatCount: 4, spareSeatCount: 2 }));
  assert.deepEqual(shell.log, ['open 2', 'open 3']);
  shell.began(0, 'spare');
  assert.deepEqual(shell.last, ['open 4']);
  for (const seat of [2, 1]) shell.began(seat);
  assert.equal(shell.picture, '0:1b 1:1f 2:0f', 'who came later goes first all the same');
  shell.slept(1, true);
  assert.equal(shell.picture, '0:1b (1:1f) 2:0f', 'not even one that polls loses the foreground to it');
  shell.ended(1);
  assert.equal(shell.picture, '0:1f 2:0f');
});

test('spare: it waits where who runs is in the foreground, or the kernel would share the core between them', () => {
  const shell = new SharingShell(limitsOf('packed', { extraSeatCount: 4 }));
  for (const seat of [0, 1, 2]) shell.began(seat);
  shell.slept(0);
  shell.ended(1);
  shell.slept(2);
  shell.began(3);
  shell.began(1, 'spare');
  assert.equal(shell.picture, '(0:0f) 1:0b (2:0b) 3:1f');
  shell.began(4);
  assert.equal(shell.picture, '(0:0f) 1:1b (2:0b) 3:1f 4:0b');
});

for (const policy of ['dedicated', 'fair'] as const) {
  test(`spare, ${policy}: nobody goes before anybody`, () => {
    const [spare, other] = [new SharingShell(limitsOf(policy)), new SharingShell(limitsOf(policy))];
    for (const shell of [spare, other]) shell.began(0, shell === spare ? 'spare' : 'shared');
    for (const shell of [spare, other]) shell.began(1);
    assert.deepEqual([spare.picture, spare.log], [other.picture, other.log]);
  });
}
