/**
 * What a node and the store of another node say to each other, over HTTP/1.1 on mutual TLS:
 *
 *   GET    /store/functions      gateway          a stream of lines: every function, layer and chain, then each change
 *   POST   /store/call/METHOD    gateway          a change; METHOD is one of the store's own
 *   GET    /store/code/SHA256    gateway, worker  a zip
 *   GET    /store/versions/KEY   worker           the provisioned version of that key
 *   POST   /store/logs           gateway, worker  log of functions, appended once
 *   GET    /store/logs/NAME      gateway          its last lines; with ?follow=1 a stream
 *   DELETE /store/logs/NAME      gateway
 *
 * A **life** is one life of the store's process: numbers and remembered answers count within it.
 */
import { API_ERRORS, UserError } from '../../base/errors.ts';
import type { ApiErrorCode, ThrottleReason } from '../../base/errors.ts';
import type { Chain, FunctionRecord, FunctionVersion, LayerVersion } from '../store.ts';

export const PATHS = {
  functions: '/store/functions',
  call: '/store/call/',
  code: '/store/code/',
  versions: '/store/versions/',
  logs: '/store/logs',
} as const;

export const HEADERS = {
  /** A call has a name of its own, so that asked again it is answered again and not done again. */
  call: 'x-perch-call',
  /** Refused with 409 by every other life. */
  life: 'x-perch-life',
} as const;

export const NAME_PATTERN: RegExp = /^[A-Za-z0-9_-]{1,140}$/;
export const SHA256_PATTERN: RegExp = /^[0-9a-f]{64}$/;

/** One line of the stream of functions. Versions come before the record that names them, and only where they are new to the reader. */
export interface StreamLine {
  readonly life?: string;
  readonly version?: FunctionVersion;
  readonly record?: FunctionRecord;
  /** With `record`: the numbers of all its published versions. */
  readonly published?: readonly string[];
  readonly gone?: string;
  readonly layerVersion?: LayerVersion;
  /** All versions that this layer has; none: it is gone. */
  readonly layer?: string;
  readonly numbers?: readonly number[];
  readonly chain?: Chain;
  readonly goneChain?: string;
  /** Code that was found missing or damaged, and why; null: it is whole again. */
  readonly code?: string;
  readonly damage?: string | null;
  /** The reader has all `whole` functions there are. */
  readonly whole?: number;
  /** Every change up to this number has been sent. */
  readonly at?: number;
  readonly beat?: 1;
}

/** One line of a log that is followed: first the last lines there were, then what is appended. */
export interface FollowLine {
  readonly tail?: string;
  readonly text?: string;
  readonly beat?: 1;
}

/** The head of a batch of log: one line of JSON; the texts follow, as bytes. */
export interface LogBatchHead {
  readonly sender: string;
  /** 1, 2, … in the life of the sender. */
  readonly number: number;
  readonly texts: readonly { readonly functionName: string; readonly bytes: number }[];
}

export interface WireError {
  readonly code: ApiErrorCode;
  readonly message: string;
  readonly reason?: ThrottleReason | undefined;
}

export interface CallAnswer {
  readonly life: string;
  readonly at: number;
  readonly result?: unknown;
  readonly error?: WireError;
}

/** What asks about tags: what they are to be if they still are what they were. */
export interface TagsAnswer {
  /** What they are instead; absent: they were changed. */
  readonly conflict?: Readonly<Record<string, string>>;
}

export function wireError({ code, message, reason }: UserError): WireError {
  return { code, message, reason };
}

/** Null where it is none. */
export function userError(value: unknown): UserError | null {
  if (typeof value !== 'object' || value === null) return null;
  const { code, message, reason } = value as Record<string, unknown>;
  if (typeof code !== 'string' || !Object.hasOwn(API_ERRORS, code) || typeof message !== 'string') return null;
  return new UserError(code as ApiErrorCode, message, reason as ThrottleReason | undefined);
}
