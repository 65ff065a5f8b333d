/**
 * How much an instance, cell or zygote may send in one tick of the agent, the answers of an instance aside, before the agent stops
 * listening to it until the next: to read what it sends is work of the platform's, which others wait for.
 */
export const FLOOD_BYTES: number = 512 * 1024;
