/** What each function of a workload says of how it shares its core, as the options `spare` and `dedicated` of a policy name them. */
import type { OptionSpecs, OptionValues } from '../policy.ts';
import { SpecError } from '../spec-error.ts';
import type { Workload } from '../workload.ts';
import type { ResidentSharing } from '../../worker/machine/sharing.ts';

export const KIND_OPTIONS: OptionSpecs = {
  spare: { help: 'functions, NAME+NAME, that run only where a core would be idle', default: '' },
  dedicated: { help: 'functions, NAME+NAME, whose cores are never lent', default: '' },
};

const SHOWN_MAX = 10;

export class ResidentKinds {
  /** By function. */
  readonly sharing: readonly ResidentSharing[];
  readonly hasSpare: boolean;
  readonly #hasOwnSeat: readonly boolean[];

  constructor({ functions }: Workload, options: OptionValues) {
    const spare = namesOf(options, 'spare');
    const dedicated = namesOf(options, 'dedicated');
    for (const [option, names] of Object.entries({ spare, dedicated })) {
      const unknown = names.find((name) => !functions.some((each) => each.name === name));
      if (unknown === undefined) continue;
      throw new SpecError(`option ${option} names a function '${unknown}': the workload has ${shownOf(functions)}`);
    }
    this.sharing = functions.map(({ name }) =>
      dedicated.includes(name) ? 'dedicated' : spare.includes(name) ? 'spare' : 'shared',
    );
    this.hasSpare = spare.length > 0;
    this.#hasOwnSeat = functions.map(({ coreCount }, i) => coreCount > 1 || this.sharing[i] !== 'shared');
  }

  /** Whether it has cores only, and no extra seat. */
  hasOwnSeat(functionIndex: number): boolean {
    return this.#hasOwnSeat[functionIndex]!;
  }
}

function shownOf(functions: Workload['functions']): string {
  const names = functions.slice(0, SHOWN_MAX).map(({ name }) => name);
  return `${names.join(', ')}${functions.length > SHOWN_MAX ? ', …' : ''}`;
}

function namesOf(options: OptionValues, name: string): readonly string[] {
  const text = (options[name] as string | undefined) ?? '';
  return text === '' ? [] : text.split('+');
}
