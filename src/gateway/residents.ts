/** Who is where on shared cores, by the numbers that a gateway shows. */
import type { ResidentView } from '../worker/agent/sharing-view.ts';
import type { CoreResident } from './platform.ts';

/** `numberOf`: what is shown of a core or seat of its worker. */
export function residentOf(view: ResidentView, numberOf: (seat: number) => number): CoreResident {
  const { state, core, foreground, isAhead } = view;
  return {
    state,
    core: core < 0 ? null : numberOf(core),
    behind: isAhead || foreground < 0 ? null : numberOf(foreground),
  };
}
