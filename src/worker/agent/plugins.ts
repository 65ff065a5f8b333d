/** Plug-ins of operators: WebAssembly modules that the verifier found to be bounded, compiled and instantiated. */
import { type Plugin, PluginAnswer } from '../machine/directed.ts';
import { type PluginFault, verifyPlugin } from '../machine/plugin-verifier.ts';

/** Node has it, and its types know it as types alone. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
}

const engine = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;

type Entry = (kind: number, nowMsLow: number, state: number) => number;

/**
 * The plug-in, or what is wrong with its module. It has one memory, for all residents of its function. `trapped` is told once: a plug-in that traps (divides by
 * zero, reads beyond its memory) is asked no more, and whoever slept by it is awake.
 */
export function loadPlugin(bytes: Uint8Array, trapped: (message: string) => void): Plugin | string {
  const facts = verifyPlugin(bytes);
  if ('message' in facts) return faultText(facts);
  let on: Entry;
  try {
    on = new engine.Instance(new engine.Module(bytes)).exports['on'] as Entry;
  } catch (error) {
    // The engine checks what the verifier leaves to it: whether types fit.
    return `the module is not valid: ${(error as Error).message}`;
  }
  let isTrapped = false;
  return {
    on(kind, nowMsLow, state): number {
      if (isTrapped) return PluginAnswer.awake;
      try {
        return on(kind, nowMsLow, state);
      } catch (error) {
        isTrapped = true;
        trapped((error as Error).message);
        return PluginAnswer.awake;
      }
    },
  };
}

function faultText({ offset, functionIndex, message }: PluginFault): string {
  const where = functionIndex < 0 ? '' : `function ${functionIndex}, `;
  return `${where}at byte ${offset}: ${message}`;
}
