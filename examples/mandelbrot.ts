/** Draws the Mandelbrot set in characters: pure computation, a core for as long as it takes. */
interface Event {
  readonly columns?: number;
  readonly rows?: number;
  readonly iterations?: number;
}

const PALETTE = process.env['PALETTE'] ?? ' .:-=+*#%@';

export async function handler(event: Event): Promise<{ picture: string[] }> {
  const { columns = 72, rows = 24, iterations = 20_000 } = event;
  const picture: string[] = [];
  for (let row = 0; row < rows; row++) {
    let line = '';
    for (let column = 0; column < columns; column++) {
      const steps = escapeSteps((column / columns) * 3 - 2.2, (row / rows) * 2.4 - 1.2, iterations);
      // Points that never escape are the set itself; around it the picture darkens with the logarithm of the steps.
      const shade =
        steps === iterations ? PALETTE.length - 1 : Math.min(Math.floor(Math.log2(steps + 1)), PALETTE.length - 2);
      line += PALETTE[shade];
    }
    picture.push(line);
  }
  return { picture };
}

function escapeSteps(re: number, im: number, max: number): number {
  let x = 0;
  let y = 0;
  for (let step = 0; step < max; step++) {
    const xx = x * x;
    const yy = y * y;
    if (xx + yy > 4) return step;
    y = 2 * x * y + im;
    x = xx - yy + re;
  }
  return max;
}
