/**
 * When the sharing machine of each server is ticked: at the first turn of a timer of the agent (a millisecond) that is not before the time it asks for. Servers
 * are not in step: each one's timer begins at another moment.
 */
import type { World } from '../world.ts';

/** As the agent's (worker/agent/core-sharing.ts). */
const TICK_US = 1000;
/** So that any number of servers lie evenly in a tick: the golden ratio. */
const STEP = (Math.sqrt(5) - 1) / 2;

export class Ticks {
  readonly #world: World;
  readonly #tick: (server: number) => void;
  readonly #kind: number;
  /** When the event comes that counts; Infinity: none. */
  readonly #atUs: Float64Array;

  constructor(world: World, tick: (server: number) => void) {
    this.#world = world;
    this.#tick = tick;
    this.#atUs = new Float64Array(world.cluster.serverCount).fill(Infinity);
    this.#kind = world.engine.kind((server) => this.#happen(server));
  }

  want(server: number, nextUs: number): void {
    if (nextUs === Infinity) return;
    const { engine } = this.#world;
    const offsetUs = ((server * STEP) % 1) * TICK_US;
    const fromUs = Math.max(nextUs, engine.nowUs);
    const turnUs = offsetUs + Math.ceil((fromUs - offsetUs) / TICK_US) * TICK_US;
    // Floats: one that comes too early by a rounding would come again and again in the same moment.
    const atUs = turnUs < fromUs ? turnUs + TICK_US : turnUs;
    if (atUs >= this.#atUs[server]!) return;
    this.#atUs[server] = atUs;
    engine.at(atUs, this.#kind, server);
  }

  #happen(server: number): void {
    if (this.#atUs[server] !== this.#world.nowUs) return;
    this.#atUs[server] = Infinity;
    this.#tick(server);
  }
}
