/**
 * The five steps from an image to its thumbnail, on raw RGB: real convolutions, nothing but numbers in and out. The
 * harness runs the same file to know what has to come out.
 */
'use strict';

const BLUR_SIGMA = 3;
const BLUR_RADIUS = 8;
/** How strongly the edge step draws edges into the image. */
const EDGE_SHARE = 0.4;
const THUMBNAIL_SIDE = 256;
const GAMMA = 1.8;

/** A Gaussian blur: one pass along the rows, one along the columns, edges repeated. */
function blur(image) {
  const kernel = gaussian(BLUR_RADIUS, BLUR_SIGMA);
  const rows = convolve(image, kernel, 1, 0);
  return convolve(rows, kernel, 0, 1);
}

function gaussian(radius, sigma) {
  const kernel = new Float64Array(2 * radius + 1);
  let sum = 0;
  for (let i = -radius; i <= radius; i++) sum += kernel[i + radius] = Math.exp((-i * i) / (2 * sigma * sigma));
  return kernel.map((weight) => weight / sum);
}

function convolve({ width, height, pixels }, kernel, stepX, stepY) {
  const radius = kernel.length >> 1;
  const out = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let i = -radius; i <= radius; i++) {
        const atX = clamp(x + i * stepX, width);
        const atY = clamp(y + i * stepY, height);
        const at = (atY * width + atX) * 3;
        const weight = kernel[i + radius];
        red += weight * pixels[at];
        green += weight * pixels[at + 1];
        blue += weight * pixels[at + 2];
      }
      const at = (y * width + x) * 3;
      out[at] = red + 0.5;
      out[at + 1] = green + 0.5;
      out[at + 2] = blue + 0.5;
    }
  }
  return { width, height, pixels: out };
}

function clamp(value, length) {
  return value < 0 ? 0 : value >= length ? length - 1 : value;
}

/** Sobel's gradient of the brightness, drawn into the image. */
function edge({ width, height, pixels }) {
  const light = new Float64Array(width * height);
  for (let i = 0; i < light.length; i++) {
    light[i] = 0.299 * pixels[i * 3] + 0.587 * pixels[i * 3 + 1] + 0.114 * pixels[i * 3 + 2];
  }
  const out = new Uint8Array(pixels.length);
  const at = (x, y) => light[clamp(y, height) * width + clamp(x, width)];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const right = at(x + 1, y - 1) + 2 * at(x + 1, y) + at(x + 1, y + 1);
      const left = at(x - 1, y - 1) + 2 * at(x - 1, y) + at(x - 1, y + 1);
      const below = at(x - 1, y + 1) + 2 * at(x, y + 1) + at(x + 1, y + 1);
      const above = at(x - 1, y - 1) + 2 * at(x, y - 1) + at(x + 1, y - 1);
      const strength = EDGE_SHARE * Math.sqrt((right - left) ** 2 + (below - above) ** 2);
      const first = (y * width + x) * 3;
      for (let channel = 0; channel < 3; channel++) {
        out[first + channel] = Math.min(255, pixels[first + channel] + strength);
      }
    }
  }
  return { width, height, pixels: out };
}

/** Each pixel of the thumbnail is the mean of those that it covers. */
function resize({ width, height, pixels }) {
  const scale = Math.min(1, THUMBNAIL_SIDE / Math.max(width, height));
  const smallWidth = Math.max(1, Math.round(width * scale));
  const smallHeight = Math.max(1, Math.round(height * scale));
  const out = new Uint8Array(smallWidth * smallHeight * 3);
  for (let y = 0; y < smallHeight; y++) {
    const top = Math.floor((y * height) / smallHeight);
    const bottom = Math.max(top + 1, Math.floor(((y + 1) * height) / smallHeight));
    for (let x = 0; x < smallWidth; x++) {
      const left = Math.floor((x * width) / smallWidth);
      const right = Math.max(left + 1, Math.floor(((x + 1) * width) / smallWidth));
      const area = { width, left, top, right, bottom };
      for (let channel = 0; channel < 3; channel++) {
        out[(y * smallWidth + x) * 3 + channel] = meanOf(pixels, area, channel) + 0.5;
      }
    }
  }
  return { width: smallWidth, height: smallHeight, pixels: out };
}

function meanOf(pixels, { width, left, top, right, bottom }, channel) {
  let sum = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) sum += pixels[(y * width + x) * 3 + channel];
  }
  return sum / ((bottom - top) * (right - left));
}

function gamma({ width, height, pixels }) {
  const out = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) out[i] = 255 * (pixels[i] / 255) ** (1 / GAMMA) + 0.5;
  return { width, height, pixels: out };
}

function sepia({ width, height, pixels }) {
  const out = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length; i += 3) {
    const [red, green, blue] = [pixels[i], pixels[i + 1], pixels[i + 2]];
    out[i] = Math.min(255, 0.393 * red + 0.769 * green + 0.189 * blue);
    out[i + 1] = Math.min(255, 0.349 * red + 0.686 * green + 0.168 * blue);
    out[i + 2] = Math.min(255, 0.272 * red + 0.534 * green + 0.131 * blue);
  }
  return { width, height, pixels: out };
}

/** Binary PPM (P6), as `toPpm` writes it: no comments in its header. */
function fromPpm(bytes) {
  const header = /^P6\n(\d+) (\d+)\n255\n/.exec(bytes.toString('latin1', 0, 32));
  if (header === null) throw new Error('the input is no binary PPM image');
  const [text, width, height] = header;
  return { width: Number(width), height: Number(height), pixels: bytes.subarray(text.length) };
}

function toPpm({ width, height, pixels }) {
  return Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), pixels]);
}

/** In their order. */
exports.FILTERS = { blur, edge, resize, gamma, sepia };
exports.fromPpm = fromPpm;
exports.toPpm = toPpm;
