/** What a route is: data, with the function that answers it. The order of a request through them is in server.ts. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { UserError } from '../base/errors.ts';
import type { CodeUrls } from './code-urls.ts';
import type { Account } from './lambda/names.ts';
import type { Platform } from './platform.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** What a pino logger is; tests may pass less. */
export interface GatewayLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** What answers share. */
export interface GatewayContext {
  readonly platform: Platform;
  readonly account: Account;
  readonly codeUrls: CodeUrls;
  /** For GET /perch/v1/info; holds no secrets. */
  readonly info: Readonly<Record<string, unknown>>;
  readonly log: GatewayLog;
  /** Ends the answers that have no end of their own, when the gateway closes. */
  readonly openStreams: Set<() => void>;
}

export interface ApiRequest {
  readonly context: GatewayContext;
  /** Of the path, decoded. */
  readonly params: Readonly<Record<string, string | undefined>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export type Answer =
  | UserError
  | { readonly status: number; readonly json?: unknown }
  | { readonly status: number; readonly contentType: string; readonly bytes: Buffer | string }
  /** Writes the answer itself, over time. */
  | { readonly stream: (response: ServerResponse) => void };

export interface Route {
  readonly method: Method;
  /** As find-my-way has it: `:name` is one segment. */
  readonly path: string;
  readonly operation: string;
  /** 0: no body is read. */
  readonly bodyBytesMax?: number;
  /** Of what is in the body, in words, where these are what somebody meets who sends too much. */
  readonly bodyLimits?: string;
  /** Who may call it without a signature, where signatures are asked for. */
  readonly access?: 'open';
  readonly answer: (request: ApiRequest) => Answer | Promise<Answer>;
}
