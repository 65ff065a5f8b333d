// Finds the function that a handler setting names: `folder/file.export` or `file.object.method`.
'use strict';

const { existsSync } = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const { typedError } = require('./errors.cjs');
const perchModule = require('./perch-module.cjs');

const EXTENSIONS = ['', '.js', '.mjs', '.cjs'];

function split(handler) {
  const base = path.basename(handler);
  const match = /^([^.]+)\.(.+)$/.exec(base);
  if (!match)
    throw typedError('Runtime.MalformedHandlerName', `Bad handler: '${handler}' is not of the form file.export`);
  return { file: path.join(handler.slice(0, handler.length - base.length), match[1]), name: match[2] };
}

function locate(root, file) {
  for (const extension of EXTENSIONS) {
    const candidate = path.join(root, file + extension);
    if (extension === '' ? existsSync(candidate) && path.extname(candidate) !== '' : existsSync(candidate))
      return candidate;
  }
  throw typedError('Runtime.ImportModuleError', `Error: Cannot find module '${file}' in ${root}`);
}

async function load(file) {
  if (!file.endsWith('.mjs')) {
    try {
      return createRequire(file)(file);
    } catch (error) {
      // An ES module that awaits at its top level cannot be required.
      if (error?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    }
  }
  return import(pathToFileURL(file).href);
}

function translate(error) {
  const code = error?.code;
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND') {
    return typedError('Runtime.ImportModuleError', `Error: ${error.message}`);
  }
  if (error instanceof SyntaxError) {
    // The first line of the stack names file and line, which the message of a SyntaxError does not.
    const place = String(error.stack).split('\n', 1)[0];
    const where = place.includes(':') && !place.startsWith('SyntaxError') ? ` (${place})` : '';
    return typedError('Runtime.UserCodeSyntaxError', `SyntaxError: ${error.message}${where}`);
  }
  return error;
}

/** Loads the module and with it runs the function's initialisation. Throws Lambda's typed errors. */
async function loadHandler(root, handler) {
  const { file, name } = split(handler);
  const location = locate(root, file);
  perchModule.install();
  let found;
  try {
    found = await load(location);
  } catch (error) {
    throw translate(error);
  }
  const keys = name.split('.');
  const reach = (start) => keys.reduce((value, key) => value?.[key], start);
  const target = reach(found) ?? reach(found?.default);
  if (typeof target !== 'function') {
    throw typedError('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
  }
  return target;
}

module.exports = { loadHandler };
