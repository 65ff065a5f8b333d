// What Lambda's Node runtime answers for an error: {errorType, errorMessage, trace}.
'use strict';

const { types } = require('node:util');
const own = require('./own.cjs');

function typedError(errorType, message) {
  const error = new Error(message);
  error.name = errorType;
  return error;
}

/** The JSON text of anything that was thrown or rejected with. Never throws: the function made this value. */
function errorText(thrown) {
  try {
    if (types.isNativeError(thrown) || thrown instanceof Error) {
      return own.stringifyJson({
        errorType: String(thrown.name),
        errorMessage: String(thrown.message),
        trace: String(thrown.stack ?? '').split('\n'),
      });
    }
    return own.stringifyJson({ errorType: typeof thrown, errorMessage: String(thrown), trace: [] });
  } catch {
    return '{"errorType":"handled","errorMessage":"the function threw a value that cannot be described","trace":[]}';
  }
}

module.exports = { typedError, errorText };
