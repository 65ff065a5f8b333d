/** What is said of a connection that is dialled for ever. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { SimulatedClock } from '../../../src/base/clock.ts';
import { ClosingLog } from '../../../src/cluster/link/closing-log.ts';
import { CloseReason } from '../../../src/wire/cluster-frame.ts';

test('each end is said, and why it cannot be made when that changes and once a minute', () => {
  const clock = new SimulatedClock();
  const lines: string[] = [];
  const log = pino({ level: 'warn', base: null, timestamp: false }, { write: (line: string) => void lines.push(line) });
  const closings = new ClosingLog(
    { clock, log },
    { ended: 'ended', unreached: 'unreached', again: 'again' },
    { worker: 'w1' },
  );
  const close = (message: string, had: boolean): void =>
    closings.add({ reason: CloseReason.silent, byPeer: true, about: 0, message }, had);
  for (let attempt = 0; attempt < 61; attempt++) {
    close('refused', false);
    clock.advanceUs(1_000_000);
  }
  close('no way', false);
  close('no way', false);
  close('', true);
  close('', true);
  close('no way', false);
  closings.opened();
  closings.opened();
  const said = lines.map((line) => JSON.parse(line) as { msg: string; why: string; worker: string });
  assert.deepEqual(
    said.map(({ msg, why }) => `${msg}: ${why}`),
    [
      'unreached: refused',
      'unreached: refused',
      'unreached: no way',
      'ended: silent',
      'ended: silent',
      'unreached: no way',
      'again: undefined',
    ],
  );
  assert.ok(said.every(({ worker }) => worker === 'w1'));
});
