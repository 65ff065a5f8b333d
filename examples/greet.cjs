/**
 * A function in the callback style. AWS dropped it with Node 24; Perch runs it, so that old code can move as it is.
 * @param {{ name?: string }} event
 * @param {{ awsRequestId: string, getRemainingTimeInMillis(): number }} context
 * @param {(error: Error | null, result?: unknown) => void} callback
 */
exports.handler = (event, context, callback) => {
  if (event.name === '') return callback(new Error('nobody to greet'));
  setImmediate(() => {
    callback(null, {
      greeting: `Good day, ${event.name ?? 'stranger'}.`,
      requestId: context.awsRequestId,
      timeLeftMs: context.getRemainingTimeInMillis(),
    });
  });
};
