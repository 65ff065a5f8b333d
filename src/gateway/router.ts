/** From method and path to a route; and what to say where there is none. */
import findMyWay from 'find-my-way';
import { UserError } from '../base/errors.ts';
import { LAMBDA_ROUTES } from './lambda/routes.ts';
import { UNSUPPORTED } from './lambda/unsupported.ts';
import { PERCH_ROUTES } from './perch/routes.ts';
import type { Method, Route } from './route.ts';

export type Found =
  | { readonly kind: 'route'; readonly route: Route; readonly params: Readonly<Record<string, string | undefined>> }
  | { readonly kind: 'invoke'; readonly functionName: string }
  | { readonly kind: 'invoke-chain'; readonly chainName: string };

type Target = { readonly route: Route } | { readonly invoke: 'function' | 'chain' } | { readonly unsupported: string };

const METHODS = ['GET', 'POST', 'PUT', 'DELETE'] as const satisfies readonly Method[];

/** Longer than any parameter may be, so that the operation says what is wrong with it. */
const PARAMETER_LENGTH_MAX = 8192;

export class Router {
  readonly #router = findMyWay({ ignoreTrailingSlash: true, maxParamLength: PARAMETER_LENGTH_MAX });

  constructor() {
    for (const route of [...LAMBDA_ROUTES, ...PERCH_ROUTES]) this.#add(route.method, route.path, { route });
    this.#add('POST', '/2015-03-31/functions/:FunctionName/invocations', { invoke: 'function' });
    this.#add('POST', '/perch/v1/chains/:ChainName/invocations', { invoke: 'chain' });
    for (const [method, path, operation] of UNSUPPORTED) this.#add(method, path, { unsupported: operation });
  }

  #add(method: Method, path: string, target: Target): void {
    this.#router.on(method, path, ignore, target);
  }

  find(method: string, path: string): Found | UserError {
    const found = this.#look(method === 'HEAD' ? 'GET' : method, path);
    if (found === null) return this.#unknown(method, path);
    const target = found.store as Target;
    if ('unsupported' in target) {
      return new UserError(
        'UnknownOperationException',
        `Perch does not offer the operation ${target.unsupported} (${method} ${shown(path)}).`,
      );
    }
    if ('invoke' in target && target.invoke === 'chain')
      return { kind: 'invoke-chain', chainName: found.params['ChainName'] ?? '' };
    if ('invoke' in target) return { kind: 'invoke', functionName: found.params['FunctionName'] ?? '' };
    return { kind: 'route', route: target.route, params: found.params };
  }

  /** The methods that the path has, for OPTIONS and for messages. */
  methods(path: string): readonly string[] {
    return METHODS.filter((method) => this.#look(method, path) !== null);
  }

  #look(method: string, path: string): { store: unknown; params: Record<string, string | undefined> } | null {
    if (!(METHODS as readonly string[]).includes(method)) return null;
    const found = this.#router.find(method as Method, path);
    // A path that cannot be decoded leads to the router's own handler.
    return found === null || found.handler !== ignore ? null : found;
  }

  #unknown(method: string, path: string): UserError {
    const methods = this.methods(path);
    const hint = methods.length > 0 ? ` That path has ${methods.join(', ')}.` : '';
    return new UserError(
      'UnknownOperationException',
      `No operation has the method ${method} and the path ${shown(path)}.${hint}`,
    );
  }
}

function ignore(): void {}

function shown(path: string): string {
  return path.length > 256 ? `${path.slice(0, 256)}…` : path;
}
