/** The smallest function: what it is called with is the event, what it returns is the response.
 * @param {{ name?: string }} event */
export async function handler(event) {
  return { message: `Hello, ${event.name ?? 'world'}!` };
}
