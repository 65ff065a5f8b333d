// Finds the module that a handler setting names, compiles it, and says clearly what is wrong with it.
'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { TypedError } = require('./errors.cjs');

const WASI = 'wasi_snapshot_preview1';
/** What Perch adds, for who asks for it. */
const PERCH = 'perch';
const MAGIC = 0x6d736100;
const VERSION_MODULE = 1;
/** The version field of a component: its own version, and layer 1. */
const VERSION_COMPONENT = 0x1000d;
/** Names under which languages export their allocator, in the order of preference. */
const ALLOCATORS = ['alloc', 'malloc'];

/** `folder/name.wasm` is a command; `folder/name.export` a handler in folder/name.wasm. */
function split(handler) {
  const match = /^((?:.*\/)?[^/.]+)\.([^/]+)$/.exec(handler);
  if (!match) {
    const message = `Bad handler: '${handler}' is neither file.wasm (a WASI command) nor file.export (an export of file.wasm)`;
    throw new TypedError('Runtime.MalformedHandlerName', message);
  }
  return { file: `${match[1]}.wasm`, name: match[2] === 'wasm' ? null : match[2] };
}

function read(root, file) {
  try {
    return readFileSync(path.join(root, file));
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EISDIR' && error.code !== 'ENOTDIR') throw error;
    throw new TypedError('Runtime.ImportModuleError', `Error: Cannot find module '${file}' in the package`);
  }
}

function checkForm(bytes, file) {
  const refuse = (what) => {
    throw new TypedError('Runtime.UserCodeSyntaxError', `${file} ${what}`);
  };
  if (bytes.length < 8 || bytes.readUInt32LE(0) !== MAGIC) refuse('is no WebAssembly: it does not begin with "\\0asm"');
  const version = bytes.readUInt32LE(4);
  if (version === VERSION_COMPONENT) refuse('is a component; build it as a core module for WASI preview 1');
  if (version !== VERSION_MODULE) refuse(`has version ${version} of the WebAssembly format; 1 is known`);
}

function compile(bytes, file) {
  checkForm(bytes, file);
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    if (!(error instanceof WebAssembly.CompileError)) throw error;
    const what = error.message.replace(/^WebAssembly\.Module\(\): /, '');
    throw new TypedError('Runtime.UserCodeSyntaxError', `${file} does not compile: ${what}`);
  }
}

function checkImports(module, file, provided) {
  const missing = WebAssembly.Module.imports(module).filter(
    (each) => each.kind !== 'function' || !Object.hasOwn(provided[each.module] ?? {}, each.name),
  );
  if (missing.length === 0) return;
  const names = missing.map((each) => `${each.module}.${each.name} (${each.kind})`).join(', ');
  const message = `${file} imports what is not there: ${names}. The functions of ${WASI} are, and ${Object.keys(provided[PERCH]).join(' and ')} of ${PERCH}`;
  throw new TypedError('Runtime.ImportModuleError', message);
}

/** The exports that will be called, by name; `name` is null for a command. */
function chooseExports(module, file, name) {
  const kinds = new Map(WebAssembly.Module.exports(module).map((each) => [each.name, each.kind]));
  const isFunction = (each) => kinds.get(each) === 'function';
  const refuse = (what) => {
    const listed = [...kinds].map(([each, kind]) => `${each} (${kind})`).join(', ') || 'nothing';
    throw new TypedError('Runtime.HandlerNotFound', `${file} ${what}. It exports: ${listed}`);
  };
  if (kinds.get('memory') !== 'memory') refuse('does not export its memory as "memory"');
  if (name === null) {
    if (!isFunction('_start')) refuse('is no command: it does not export _start. Name another export as file.export');
    return { entry: '_start', allocate: null, initialize: null };
  }
  if (!isFunction(name)) refuse(`does not export a function "${name}"`);
  const allocate = ALLOCATORS.find(isFunction);
  if (allocate === undefined) refuse(`exports neither alloc nor malloc, which give room for the payload of "${name}"`);
  return { entry: name, allocate, initialize: isFunction('_initialize') ? '_initialize' : null };
}

/**
 * The module that `handler` names, compiled once: its `exports` to call, and `isCommand`.
 * `provided`: the functions that there are, by the modules that they are imported from. Throws TypedErrors.
 */
function loadModule(root, handler, provided) {
  const { file, name } = split(handler);
  const module = compile(read(root, file), file);
  checkImports(module, file, provided);
  return { file, module, isCommand: name === null, exports: chooseExports(module, file, name) };
}

module.exports = { PERCH, WASI, loadModule };
