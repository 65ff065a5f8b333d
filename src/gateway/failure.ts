/**
 * What becomes of an exception in an answer. A failing disk is the platform's failure at this one request; anything
 * else is a bug, and crashes.
 */
import { UserError } from '../base/errors.ts';
import { StoreError } from '../store/store.ts';
import type { GatewayLog } from './route.ts';

export function serviceError(
  log: GatewayLog,
  error: unknown,
  where: { operation: string; requestId: string },
): UserError {
  if (!isIoError(error)) throw error;
  log.error({ err: error, ...where }, 'request failed');
  return new UserError(
    'ServiceException',
    `The platform failed at this request (${where.requestId}); its log says why.`,
  );
}

function isIoError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error instanceof StoreError || (error as NodeJS.ErrnoException).syscall !== undefined;
}
