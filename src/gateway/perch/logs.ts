/** A function's log as it grows: the last lines, then what is appended until the reader or the gateway goes. */
import type { ServerResponse } from 'node:http';
import { unseen } from '../../store/unseen.ts';
import type { GatewayContext } from '../route.ts';

/** A reader that is this far behind is cut off: its connection ends. */
const BEHIND_BYTES_MAX = 1024 * 1024;

export function streamLogs(
  context: GatewayContext,
  query: { functionName: string; lines: number },
  response: ServerResponse,
): void {
  const { logs } = context.platform;
  // Listening starts before the last lines are read, so that nothing falls between the two.
  let early: string[] | null = [];
  const write = (text: string): void => {
    response.write(text);
    if (response.writableLength > BEHIND_BYTES_MAX) response.destroy();
  };
  const stopFollowing = logs.follow(query.functionName, (text) => {
    if (early === null) write(text);
    else early.push(text);
  });
  const end = (): void => {
    response.end();
  };
  context.openStreams.add(end);
  response.on('close', () => {
    stopFollowing();
    context.openStreams.delete(end);
  });
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' });
  response.flushHeaders();
  const begin = (last: string): void => {
    const held = early ?? [];
    early = null;
    write(last + unseen(last, held).join(''));
  };
  const reading = query.lines === 0 ? Promise.resolve('') : logs.tail(query.functionName, query.lines);
  reading.then(begin, (error: unknown) => {
    context.log.error({ err: error, functionName: query.functionName }, 'log unreadable');
    response.destroy();
  });
}
