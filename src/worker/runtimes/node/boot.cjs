// What runs inside the sandbox of a Node.js function that is a process of its own: loads the handler, then serves.
'use strict';

const { loadHandler } = require('./handler.cjs');
const serve = require('./serve.cjs');

async function boot() {
  serve.configure();
  serve.guard();
  try {
    serve.use(await loadHandler(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER));
  } catch (error) {
    serve.failInit(error);
  }
  serve.afterInit(serve.start);
}

void boot();
