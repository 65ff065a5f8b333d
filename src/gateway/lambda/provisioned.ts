/**
 * Provisioned concurrency: instances of a published version that are ready before anybody asks. What is wanted is in
 * the store; how far the agent is with it is asked of the platform at every read.
 */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { eachFunction } from '../../store/each-function.ts';
import { Gate } from '../../store/code/gate.ts';
import type { FunctionVersion, Provisioned } from '../../store/store.ts';
import type { ProvisionedState } from '../../worker/agent/contract.ts';
import type { Platform } from '../platform.ts';
import { provisionedMb } from '../provisioning.ts';
import type { Answer, ApiRequest } from '../route.ts';
import { parseFields } from './body.ts';
import { checkString, validationError } from './constraints.ts';
import { PUT_PROVISIONED } from './fields.ts';
import { findName, findVersion, listed, readPage } from './functions.ts';
import { LATEST, versionArn } from './names.ts';

/** Of each platform: what is asked for is compared with what others were given, and given, before the next is. */
const turns = new WeakMap<Platform, Gate>();

function turnsOf(platform: Platform): Gate {
  const known = turns.get(platform) ?? new Gate(1);
  turns.set(platform, known);
  return known;
}

export async function putProvisionedConcurrencyConfig(request: ApiRequest): Promise<Answer> {
  const fn = findProvisionable(request);
  if (fn instanceof UserError) return fn;
  const fields = parseFields(PUT_PROVISIONED, request.body);
  if (fields instanceof UserError) return fields;
  const count = fields.ProvisionedConcurrentExecutions;
  const { platform } = request.context;
  const set = async (): Promise<UserError | null> =>
    overCapacity(platform, fn, count) ?? (await platform.store.setProvisioned(fn.functionName, fn.version, count));
  const refusal = await turnsOf(platform).run(set);
  if (refusal !== null) return refusal;
  const provisioned = platform.store.getFunction(fn.functionName)?.provisioned[fn.version];
  return provisioned === undefined ? notProvisioned() : { status: 202, json: described(platform, fn, provisioned) };
}

/** Get and List are one path; the query tells which. */
export function getProvisionedConcurrencyConfig(request: ApiRequest): Answer {
  const list = request.query.get('List');
  if (list === null) return getOne(request);
  return checkString({ type: 'string', values: ['ALL'] }, list, 'list') ?? listProvisioned(request);
}

function getOne(request: ApiRequest): Answer {
  const fn = findProvisionable(request);
  if (fn instanceof UserError) return fn;
  const { platform } = request.context;
  const provisioned = platform.store.getFunction(fn.functionName)?.provisioned[fn.version];
  return provisioned === undefined ? notProvisioned() : { status: 200, json: described(platform, fn, provisioned) };
}

function listProvisioned(request: ApiRequest): Answer {
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const page = readPage(request, LIMITS.listItemsMax);
  if (page instanceof UserError) return page;
  const { account, platform } = request.context;
  const all = platform.store.getFunction(functionName)?.provisioned ?? {};
  // In order of their numbers, as an object holds keys that are numbers.
  const versions = Object.keys(all).filter((version) => page.marker === null || Number(version) > Number(page.marker));
  const shown = versions.slice(0, page.max);
  const items = shown.flatMap((version) => {
    const fn = platform.store.getVersion(functionName, version);
    const provisioned = all[version];
    if (fn === null || provisioned === undefined) return [];
    return [{ FunctionArn: versionArn(account, fn, true), ...described(platform, fn, provisioned) }];
  });
  const last = shown.at(-1) ?? null;
  return listed('ProvisionedConcurrencyConfigs', items, versions.length > shown.length ? last : null);
}

export async function deleteProvisionedConcurrencyConfig(request: ApiRequest): Promise<Answer> {
  const fn = findProvisionable(request);
  if (fn instanceof UserError) return fn;
  const { store } = request.context.platform;
  return (await store.setProvisioned(fn.functionName, fn.version, null)) ?? { status: 204 };
}

/** The published version that the request names; there are no aliases. */
function findProvisionable(request: ApiRequest): FunctionVersion | UserError {
  const found = findVersion(request);
  if (found instanceof UserError) return found;
  if (!found.qualified) {
    return validationError(["Value null at 'qualifier' failed to satisfy constraint: Member must not be null"]);
  }
  if (found.fn.version !== LATEST) return found.fn;
  return new UserError(
    'InvalidParameterValueException',
    'Provisioned Concurrency Configs cannot be applied to unpublished function versions.',
  );
}

/**
 * Provisioned instances are never given up for others, so all of them have to fit at once; and so does what each
 * version's are copied from.
 */
function overCapacity(platform: Platform, fn: FunctionVersion, count: number): UserError | null {
  const { memoryMb: memoryMbMax, instanceCount: countMax } = platform.capacity;
  const others = provisionedBeside(platform, fn);
  const memoryMb = provisionedMb(count, fn.config.memoryMb);
  if (others.memoryMb + memoryMb > memoryMbMax) {
    const fitting = Math.floor((memoryMbMax - others.memoryMb) / fn.config.memoryMb) - 1;
    return new UserError(
      'InvalidParameterValueException',
      `A provisioned concurrency of ${count} with ${fn.config.memoryMb} MB each, and as much for what they are copied from, takes ${memoryMb} MB; ` +
        `this platform has ${memoryMbMax} MB for instances, ${others.memoryMb} MB of them provisioned for others. ` +
        (fitting < 1 ? 'None fits.' : `At most ${fitting} fit.`),
    );
  }
  if (others.count + count <= countMax) return null;
  return new UserError(
    'InvalidParameterValueException',
    `A provisioned concurrency of ${count} is too much: this platform has room for ${countMax} instances, ` +
      `${others.count} of them provisioned for others.`,
  );
}

function provisionedBeside(platform: Platform, fn: FunctionVersion): { memoryMb: number; count: number } {
  const sum = { memoryMb: 0, count: 0 };
  for (const { latest, provisioned } of eachFunction(platform.store)) {
    for (const [version, { count }] of Object.entries(provisioned)) {
      if (latest.functionName === fn.functionName && version === fn.version) continue;
      const other = platform.store.getVersion(latest.functionName, version);
      sum.memoryMb += provisionedMb(count, other?.config.memoryMb ?? 0);
      sum.count += count;
    }
  }
  return sum;
}

function described(platform: Platform, fn: FunctionVersion, provisioned: Provisioned): Record<string, unknown> {
  const state = platform.provisionedState(fn);
  return {
    RequestedProvisionedConcurrentExecutions: provisioned.count,
    AvailableProvisionedConcurrentExecutions: state.available,
    AllocatedProvisionedConcurrentExecutions: state.allocated,
    Status: statusOf(state, provisioned.count),
    ...(state.failed === null ? {} : { StatusReason: state.failed }),
    LastModified: new Date(provisioned.lastModifiedMs).toISOString().replace(/\.\d+Z$/, '+0000'),
  };
}

function statusOf(state: ProvisionedState, count: number): 'IN_PROGRESS' | 'READY' | 'FAILED' {
  if (state.available >= count) return 'READY';
  return state.failed === null ? 'IN_PROGRESS' : 'FAILED';
}

function notProvisioned(): UserError {
  return new UserError(
    'ProvisionedConcurrencyConfigNotFoundException',
    'No Provisioned Concurrency Config found for this function',
  );
}
