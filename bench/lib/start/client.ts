/** An HTTP client whose connections stay open. It throws at any answer that is not a function's response. */
import http from 'node:http';

export class Client {
  readonly #agent: http.Agent;

  constructor(connectionsMax: number) {
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: connectionsMax });
  }

  /** Microseconds from sending to the last byte of the answer. */
  post(url: string): Promise<number> {
    const startMs = performance.now();
    return new Promise((resolve, reject) => {
      const request = http.request(url, { method: 'POST', agent: this.#agent }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          const isError = response.statusCode !== 200 || response.headers['x-amz-function-error'] !== undefined;
          if (isError) reject(new Error(`${url}: ${response.statusCode} ${text}`));
          else resolve((performance.now() - startMs) * 1000);
        });
      });
      request.on('error', reject);
      request.end('{}');
    });
  }

  /** All at once; microseconds from sending the first to each answer, sorted. */
  async burst(urls: readonly string[]): Promise<number[]> {
    const startMs = performance.now();
    const ends = urls.map(async (url) => {
      await this.post(url);
      return (performance.now() - startMs) * 1000;
    });
    return (await Promise.all(ends)).toSorted((a, b) => a - b);
  }

  /**
   * Each connection sends its next request when it has its answer, `countEach` times. Returns the sum of the connections' rates,
   * each by its own clock: that some end before others leaves no idle core in the figure.
   */
  async closedLoop(url: string, connections: number, countEach: number): Promise<number> {
    const rates = Array.from({ length: connections }, async () => {
      const startMs = performance.now();
      for (let index = 0; index < countEach; index++) await this.post(url);
      return countEach / ((performance.now() - startMs) / 1000);
    });
    return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
  }

  close(): void {
    this.#agent.destroy();
  }
}
