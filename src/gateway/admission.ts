/**
 * What this platform would not run, though the request for it is well-formed: a runtime that the machine lacks, and
 * the host's network where the operator did not allow it. Looked at when a function is configured, and again before
 * its version runs: the operator may have started the platform differently since.
 */
import { UserError } from '../base/errors.ts';
import { NETWORK_VARIABLE, networkOf } from '../store/settings.ts';
import type { FunctionConfig, FunctionVersion, RuntimeName } from '../store/store.ts';
import type { RuntimeFinding } from '../worker/runtimes/runtime.ts';

export interface AdmissionOptions {
  /** `perch up --allow-host-network`. */
  readonly hostNetworkAllowed: boolean;
  /** What this machine has for the runtime; null where this Perch has none of that name. */
  readonly findRuntime: (name: RuntimeName) => RuntimeFinding | null;
}

export class Admission {
  readonly #options: AdmissionOptions;
  /** What is there is taken to stay; what is missing is looked for again, since its operator may have mended it. */
  readonly #ready = new Set<RuntimeName>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Of a new configuration; what it has in common with the one before it was admitted then, and is not asked again. */
  refuseConfig(config: FunctionConfig, before: FunctionConfig | null): UserError | null {
    const hostAlready = before !== null && networkOf(before) === 'host';
    const message =
      (config.runtime === before?.runtime ? null : this.#runtimeFault(config.runtime)) ??
      (hostAlready ? null : this.#networkFault(config));
    return message === null ? null : new UserError('InvalidParameterValueException', message);
  }

  /** Of a version that is stored and is to run. */
  refuseVersion(fn: FunctionVersion): UserError | null {
    const runtime = this.#runtimeFault(fn.config.runtime);
    if (runtime !== null) return new UserError('InvalidRuntimeException', runtime);
    const network = this.#networkFault(fn.config);
    return network === null ? null : new UserError('InvalidParameterValueException', network);
  }

  #runtimeFault(name: RuntimeName): string | null {
    if (this.#ready.has(name)) return null;
    const finding = this.#options.findRuntime(name);
    if (finding?.ok === true) {
      this.#ready.add(name);
      return null;
    }
    if (finding === null) return `This Perch has no runtime ${name}: choose one that 'perch doctor' lists.`;
    const fix = finding.fix === '' ? '' : ` To fix it: ${finding.fix}.`;
    return `The runtime ${name} cannot run on this machine: ${finding.detail}.${fix}`;
  }

  #networkFault(config: FunctionConfig): string | null {
    if (this.#options.hostNetworkAllowed || networkOf(config) !== 'host') return null;
    return (
      `The environment variable ${NETWORK_VARIABLE} has the value 'host', which the operator of this platform has not allowed: ` +
      "set it to none or outbound, or have the platform started with 'perch up --allow-host-network'."
    );
  }
}
