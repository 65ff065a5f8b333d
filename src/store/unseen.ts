/** What was appended while the last lines were read may be among them already. */
export function unseen(last: string, held: readonly string[]): readonly string[] {
  for (let count = held.length; count > 0; count--) {
    if (last.endsWith(held.slice(0, count).join(''))) return held.slice(count);
  }
  return held;
}
