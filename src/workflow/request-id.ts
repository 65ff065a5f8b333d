/**
 * The request id of a step: that of its chain with the number of the step worked into the last byte, so that the first step has the chain's own.
 * Different for each step, since functions may take a request id that they have seen for a repetition; and the same when an asynchronous
 * chain is run again, for the same reason.
 */
export function stepRequestId(chainRequestId: string, step: number): string {
  const last = Number.parseInt(chainRequestId.slice(-2), 16) ^ step;
  return chainRequestId.slice(0, -2) + last.toString(16).padStart(2, '0');
}
