import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseExport, commonJsExports, exportOf } from '../../../src/cli/deploy/handler.ts';
import { CliError } from '../../../src/cli/exit-codes.ts';

test('a handler setting names an export', () => {
  assert.equal(exportOf('run'), 'run');
  assert.equal(exportOf('index.run'), 'run');
  assert.equal(exportOf('src/v1.2/index.run'), 'run');
  assert.equal(exportOf('index.api.run'), 'api.run');
});

test('handler comes before default, and what is asked for before both', () => {
  assert.equal(chooseExport('a.ts', ['default', 'handler', 'x'], undefined), 'handler');
  assert.equal(chooseExport('a.ts', ['default', 'x'], undefined), 'default');
  assert.equal(chooseExport('a.ts', ['default', 'x'], 'index.x'), 'x');
  assert.equal(chooseExport('a.cjs', null, undefined), 'handler');
});

test('no handler: the error lists what there is', () => {
  const message = (exports: readonly string[], wanted?: string): string => {
    try {
      chooseExport('a.ts', exports, wanted);
    } catch (error) {
      assert.ok(error instanceof CliError);
      return error.message;
    }
    return '';
  };
  assert.match(message([]), /a\.ts exports no handler; it exports nothing/);
  assert.match(message(['run', 'stop']), /it exports 'run', 'stop'.*--handler/);
  assert.match(message(['run'], 'walk'), /no export 'walk'; it exports 'run'/);
});

test('CommonJS exports are read from the text where the text shows them', () => {
  const cases: readonly (readonly [string, readonly string[] | null])[] = [
    ['exports.handler = () => 1; exports.other = 2', ['handler', 'other']],
    ['module.exports.handler = async () => 1', ['handler']],
    ['module.exports = { handler, other: 2 }', ['handler', 'other']],
    ['module.exports = { handler: async () => 1 }', null],
    ['module.exports = require("./other")', null],
    ['module.exports = { ...require("./other") }', null],
    ['// exports.handler = 1\nconsole.log(1)', null],
    ['if (exports.handler == null) exports.run = 1', ['run']],
  ];
  for (const [source, expected] of cases) assert.deepEqual(commonJsExports(source), expected, source);
});
