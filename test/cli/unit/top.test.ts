import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatUs } from '../../../src/cli/terminal.ts';
import { formatOverview, type Sample } from '../../../src/cli/top.ts';

function sample(grantsTotal: number, resultsTotal: number, atMs: number): Sample {
  const cores = { idle: 10, leased: 30, withdrawn: 0, absent: 8 };
  const worker = { host: '10.0.0.2', port: 9402, memoryMb: 65_536, memoryFreeMb: 32_768, sinceMs: Date.now() - 7.3e6 };
  const extraSeats = { count: 40, open: 3, leased: 7 };
  const here = { ...worker, name: 'box2', state: 'joined', firstCore: 0, coreCount: 40, cores, extraSeats } as const;
  const away = { idle: 0, leased: 0, withdrawn: 0, absent: 8 };
  const gone = {
    ...worker,
    name: 'box3',
    state: 'absent',
    firstCore: 64,
    coreCount: 8,
    cores: away,
    extraSeats: { count: 0, open: 0, leased: 0 },
    sinceMs: 0,
  } as const;
  const cluster = {
    epoch: 7,
    queueLength: 3,
    collectedCount: 0,
    versionCount: 1,
    grantsTotal,
    cores,
    extraSeats,
    workers: [here, gone],
    gateways: [],
    provisioned: [],
  };
  const functions = [{ functionName: 'resize', version: '3', running: 30, waiting: 3, resultsTotal }];
  return { overview: { cluster, functions, sharing: [] }, atMs };
}

test('an overview says what is, and what happened since the last one', () => {
  const text = formatOverview(sample(1000, 500, 10_000), sample(3000, 700, 12_000));
  assert.match(text, /cores +█{15}░{5} +75 % +30 leased, 10 idle, 8 absent\n/);
  assert.match(text, /shared +7 run beside them, for 3 more there is room\n/);
  assert.match(text, /requests +1,000\/s granted, 3 waiting\n/);
  assert.match(text, /nodes +1 of 2 workers, 0 gateways; epoch 7\n/);
  assert.match(text, /^box2 +joined +█{15}░{5} +30\/40 +7\/10 +32\.0\/64\.0 +2 h$/m);
  assert.match(text, /^box3 +absent +░{20} +0\/8 +- .* -$/m);
  assert.match(text, /^resize:3 +30 +3 +100\/s$/m);
});

test('how cores are shared, and who is there, is seen at a glance', () => {
  const now = sample(1000, 500, 10_000);
  const residents = { running: 2, waiting: 1, asleep: 3, frozen: 4, kept: 5 };
  const force = { worker: 'box2', policy: 'lend', perCore: 8, sources: ['directed', 'learning'] } as const;
  const sharing = [{ ...force, observer: 'ebpf', residents }] as const;
  const text = formatOverview(now, { ...now, overview: { ...now.overview, sharing } });
  assert.match(text, /there +2 running, 1 waiting behind others, 3 asleep, 4 frozen\n/);
  assert.match(text, /WORKER .* SHARED +SHARING +KNOWLEDGE +OBSERVER +MEMORY/);
  assert.match(text, /^box2 .* 7\/10 +lend:8 +directed,learning +ebpf +32/m);
  assert.match(text, /^box3 .* - +- +- +- +32/m);
});

test('counters of another scheduler are not compared', () => {
  const before = sample(1_000_000, 0, 0);
  const later = { ...before.overview.cluster!, epoch: 6 };
  const text = formatOverview({ ...before, overview: { ...before.overview, cluster: later } }, sample(5, 0, 1000));
  assert.match(text, /requests +0\/s granted/);
});

test('a scheduler that does not answer is said', () => {
  const { overview, atMs } = sample(0, 0, 0);
  const text = formatOverview({ overview, atMs }, { overview: { ...overview, cluster: null }, atMs: 1000 });
  assert.match(text, /The scheduler does not answer/);
  assert.match(text, /resize:3/);
});

test('times are read at a glance', () => {
  const texts = [840, 1520, 3.1e6, 119e6, 720e6, 5.5 * 3600e6, 30 * 86_400e6].map(formatUs);
  assert.deepEqual(texts, ['840 µs', '1.52 ms', '3.10 s', '119 s', '12 min', '5 h', '30 d']);
});
