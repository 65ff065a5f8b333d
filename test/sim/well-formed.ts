/** Whether a page is well-formed as XML is, and needs nothing beside it. What browsers forgive, this does not. */
import assert from 'node:assert/strict';

const TOKEN =
  /<!doctype html>|<\/([a-z][a-z0-9]*)>|<([a-z][a-z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9-]*="[^"<]*")*)\s*(\/?)>|([^<]+)|(<)/gi;
const ENTITY = /&(?!(?:amp|lt|gt|quot);)/;

export function assertWellFormed(html: string): void {
  const open: string[] = [];
  // What is in <style> is no markup.
  for (const [text, closed, opened, attributes = '', isEmpty, plain, wrong] of html
    .replace(/<style>[\s\S]*?<\/style>/, '')
    .matchAll(TOKEN)) {
    assert.equal(wrong, undefined, `a '<' that begins no tag, in ${open.join(' > ')}`);
    assert.doesNotMatch(plain ?? attributes, ENTITY, `an '&' that is no entity: ${text.slice(0, 80)}`);
    if (closed !== undefined) assert.equal(closed, open.pop(), `</${closed}> closes another`);
    else if (opened !== undefined && isEmpty !== '/') open.push(opened);
  }
  assert.deepEqual(open, [], 'elements that are never closed');
}

export function assertSelfContained(html: string): void {
  for (const wrong of ['<script', '<link', '<img', '<iframe', '@import', 'url(', 'src=', 'href=', '//']) {
    assert.ok(
      !html.includes(wrong),
      `the page has '${wrong}' in it: ${html.slice(html.indexOf(wrong) - 60).slice(0, 140)}`,
    );
  }
}

/** No number that a browser could not draw. */
export function assertDrawable(html: string): void {
  for (const wrong of ['NaN', 'Infinity', 'undefined', 'null']) {
    assert.ok(
      !html.includes(wrong),
      `the page has ${wrong} in it: ${html.slice(html.indexOf(wrong) - 80).slice(0, 160)}`,
    );
  }
}
