/** The two doors between what keeps zips and what keeps them unpacked, which are one machine or two. */
import type { UserError } from '../../base/errors.ts';
import type { CodeRef } from '../store.ts';
import type { ZipPlan, ZipRefusal } from './zip-plan.ts';

/** Where zips come from: the store of this machine, or a peer. */
export interface CodeSource {
  has(sha256: string): boolean;
  /** The bytes kept under this name; whoever asks checks that they are what the name says. */
  fetch(code: CodeRef): Promise<Buffer | UserError>;
  /** What was fetched cannot be used: what to answer from now on, until the same zip is uploaded again. */
  reject(code: CodeRef, why: string): UserError;
}

/** Who wants each zip at its upload, to have it unpacked before it is asked for. */
export interface CodeSink {
  /** Unpacks it, and so checks every byte of it. The zip is not stored yet, and will not be if this refuses it. */
  put(code: CodeRef, plan: ZipPlan): Promise<ZipRefusal | null>;
  /** It is not stored any more, or could not be. */
  drop(sha256: string): void;
}
