import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { UserError } from '../../../src/base/errors.ts';
import { Admission } from '../../../src/gateway/admission.ts';
import { defaultConfig, mergeConfig } from '../../../src/gateway/lambda/config.ts';
import {
  coresOf,
  hasOwnSeat,
  isolationOf,
  networkOf,
  settingsFault,
  settingTagsFault,
  sharingOf,
} from '../../../src/store/settings.ts';
import type { FunctionConfig, FunctionVersion } from '../../../src/store/store.ts';

const OK = { ok: true, detail: 'there', fix: '' };

function configWith(environment: Record<string, string>, over: Partial<FunctionConfig> = {}): FunctionConfig {
  return { ...defaultConfig(), environment, ...over };
}

test('isolation: the variable before the tag before the default; what is unknown counts as absent', () => {
  const cases: readonly (readonly [string | undefined, string | undefined, string])[] = [
    [undefined, undefined, 'reuse'],
    [undefined, 'fresh', 'fresh'],
    ['reuse', 'fresh', 'reuse'],
    ['fresh', 'reuse', 'fresh'],
    ['FRESH', 'fresh', 'fresh'],
    ['clean', undefined, 'reuse'],
    ['process', 'fresh', 'process'],
    [undefined, 'process', 'process'],
    ['Process', undefined, 'reuse'],
  ];
  for (const [variable, tag, expected] of cases) {
    const config = configWith(variable === undefined ? {} : { PERCH_ISOLATION: variable });
    assert.equal(isolationOf(config, tag === undefined ? {} : { 'perch:isolation': tag }), expected);
  }
  assert.equal(networkOf(configWith({})), 'outbound');
  assert.equal(networkOf(configWith({ PERCH_NETWORK: 'none' })), 'none');
  assert.equal(networkOf(configWith({ PERCH_NETWORK: 'all' })), 'outbound');
});

test('a bad value is refused with the variable, the value and what is allowed', () => {
  const refused = mergeConfig(defaultConfig(), { Environment: { Variables: { PERCH_ISOLATION: 'clean' } } });
  assert.ok(refused instanceof UserError);
  assert.equal(refused.code, 'InvalidParameterValueException');
  assert.match(
    refused.message,
    /variable PERCH_ISOLATION has the value 'clean'; it has to be one of reuse, fresh, process\./,
  );
  assert.match(settingsFault({ PERCH_NETWORK: '' }) ?? '', /PERCH_NETWORK has the value ''.*none, outbound, host/);
  assert.match(
    settingTagsFault({ 'perch:isolation': 'x' }) ?? '',
    /tag perch:isolation has the value 'x'.*reuse, fresh, process\./,
  );
});

test('cores: 1 to 32, in digits alone; what is none of these counts as absent, and is refused where it is set', () => {
  for (const [text, cores] of [
    [undefined, 1],
    ['1', 1],
    ['2', 2],
    ['9', 9],
    ['10', 10],
    ['32', 32],
  ] as const) {
    const environment: Record<string, string> = text === undefined ? {} : { PERCH_CORES: text };
    assert.deepEqual([coresOf(configWith(environment)), settingsFault(environment)], [cores, null]);
  }
  for (const text of [
    '',
    '0',
    '33',
    '99',
    '100',
    '-1',
    '1.5',
    '02',
    '2 ',
    ' 2',
    '1e1',
    '0x2',
    'all',
    '２',
    'x'.repeat(99),
  ]) {
    const shown = text.length > 64 ? `${'x'.repeat(64)}…` : text;
    assert.equal(coresOf(configWith({ PERCH_CORES: text })), 1);
    assert.equal(
      settingsFault({ PERCH_CORES: text }),
      `The environment variable PERCH_CORES has the value '${shown}'; it has to be a whole number from 1 to 32.`,
    );
  }
  const refused = mergeConfig(defaultConfig(), { Environment: { Variables: { PERCH_CORES: 'all' } } });
  assert.ok(refused instanceof UserError && refused.code === 'InvalidParameterValueException');
});

test('a function has its core for itself, or what others leave of theirs, where it says so', () => {
  for (const [text, ...settings] of [
    [undefined, 'shared', false],
    ['shared', 'shared', false],
    ['dedicated', 'dedicated', true],
    ['spare', 'spare', true],
  ] as const) {
    const environment: Record<string, string> = text === undefined ? {} : { PERCH_SHARING: text };
    const config = configWith(environment);
    assert.deepEqual([sharingOf(config), hasOwnSeat(config), settingsFault(environment)], [...settings, null]);
  }
  assert.equal(
    settingsFault({ PERCH_SHARING: 'lend' }),
    "The environment variable PERCH_SHARING has the value 'lend'; it has to be one of shared, dedicated, spare.",
  );
  assert.equal(
    settingsFault({ PERCH_SHARING: 'spare', PERCH_CORES: '2' }),
    'PERCH_SHARING is spare and PERCH_CORES is 2: an invocation of several cores has them for itself. One of the two has to go.',
  );
  assert.equal(settingsFault({ PERCH_SHARING: 'spare', PERCH_CORES: '1' }), null);
});

test('whatever the environment holds: a fault or a setting that is what it says', () => {
  const value = fc.oneof(fc.constantFrom('reuse', 'fresh', 'process', 'none', 'outbound', 'host'), fc.string());
  fc.assert(
    fc.property(value, value, (isolation, network) => {
      const environment = { PERCH_ISOLATION: isolation, PERCH_NETWORK: network };
      if (settingsFault(environment) !== null) return;
      const config = configWith(environment);
      assert.deepEqual([isolationOf(config), networkOf(config)], [isolation, network]);
    }),
  );
});

test('the host network: refused where the operator has not allowed it, when it is asked for and when it is to run', () => {
  const config = configWith({ PERCH_NETWORK: 'host' });
  const closed = new Admission({ hostNetworkAllowed: false, findRuntime: () => OK });
  const open = new Admission({ hostNetworkAllowed: true, findRuntime: () => OK });
  assert.equal(open.refuseConfig(config, null), null);
  assert.match(closed.refuseConfig(config, null)?.message ?? '', /PERCH_NETWORK.*'host'.*--allow-host-network/);
  // A function stored while it was allowed can still be changed in other ways; it does not run.
  assert.equal(closed.refuseConfig({ ...config, timeoutS: 9 }, config), null);
  assert.match(closed.refuseConfig(config, configWith({}))?.message ?? '', /--allow-host-network/);
  const version = { config } as FunctionVersion;
  assert.equal(open.refuseVersion(version), null);
  assert.equal(closed.refuseVersion(version)?.code, 'InvalidParameterValueException');
});

test('a runtime that the machine lacks is refused with what to do, and looked for again', () => {
  let finding: { ok: boolean; detail: string; fix: string } | null = null;
  let lookCount = 0;
  const admission = new Admission({
    hostNetworkAllowed: false,
    findRuntime: () => {
      lookCount++;
      return finding;
    },
  });
  const config = configWith({}, { runtime: 'python3.12' });
  assert.match(admission.refuseConfig(config, null)?.message ?? '', /no runtime python3\.12/);
  finding = { ok: false, detail: 'no python3', fix: 'apt-get install python3' };
  assert.match(
    admission.refuseConfig(config, null)?.message ?? '',
    /python3\.12 cannot run on this machine: no python3\. To fix it: apt-get install python3\./,
  );
  assert.equal(admission.refuseVersion({ config } as FunctionVersion)?.code, 'InvalidRuntimeException');
  assert.equal(admission.refuseConfig({ ...config, timeoutS: 9 }, config), null);
  finding = OK;
  assert.equal(admission.refuseConfig(config, null), null);
  const looked = lookCount;
  assert.equal(admission.refuseVersion({ config } as FunctionVersion), null);
  assert.equal(lookCount, looked);
});
