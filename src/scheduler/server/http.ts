/** What a scheduler answers over HTTP, to nodes of its cluster only: how it is, for people and for Prometheus. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface HttpAnswers {
  /** Anything that JSON can say. */
  view(): Promise<object>;
  /** Prometheus' text. */
  metrics(): Promise<string>;
}

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const JSON_TYPE = 'application/json';

export function answerHttp(answers: HttpAnswers, request: IncomingMessage, response: ServerResponse): void {
  const [path] = (request.url ?? '').split('?', 1);
  request.resume();
  if (path !== '/metrics' && path !== '/perch/v1/cluster') return say(response, 404, { message: `no ${path} here` });
  if (request.method !== 'GET') return say(response, 405, { message: `${path} is for GET` });
  if (path === '/perch/v1/cluster') void answers.view().then((view) => say(response, 200, view));
  else void answers.metrics().then((text) => response.writeHead(200, { 'content-type': TEXT }).end(text));
}

function say(response: ServerResponse, status: number, answer: object): void {
  response.writeHead(status, { 'content-type': JSON_TYPE }).end(JSON.stringify(answer));
}
