// Makes `perch` (perch.cjs) found by `require` and `import` from wherever the function's modules lie, as node: modules
// are. NODE_PATH would do for `require` alone. A package of that name that the function brings comes first.
'use strict';

const { registerHooks } = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const NAME = 'perch';
/** Node's own way to reach whoever listens in this process, or nobody: a bundled copy of the module finds it too. */
const CHANNEL = 'perch:hint';
const NOT_FOUND = new Set(['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND']);

const { href: url } = pathToFileURL(path.join(__dirname, 'perch.cjs'));

function resolve(specifier, context, next) {
  if (specifier !== NAME) return next(specifier, context);
  try {
    return next(specifier, context);
  } catch (error) {
    if (!NOT_FOUND.has(error?.code)) throw error;
    return { url, format: 'commonjs', shortCircuit: true };
  }
}

function install() {
  registerHooks({ resolve });
}

module.exports = { CHANNEL, install };
