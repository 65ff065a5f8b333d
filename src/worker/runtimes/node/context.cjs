// The context object that Lambda documents for Node.js handlers.
'use strict';

let functionName;
let functionVersion;
let memoryLimitInMB;
let logGroupName;
let logStreamName;

/** Once the environment is the function's. */
function readEnvironment() {
  const { env } = process;
  functionName = env.AWS_LAMBDA_FUNCTION_NAME;
  functionVersion = env.AWS_LAMBDA_FUNCTION_VERSION;
  memoryLimitInMB = env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE;
  logGroupName = env.AWS_LAMBDA_LOG_GROUP_NAME;
  logStreamName = env.AWS_LAMBDA_LOG_STREAM_NAME;
}

class Context {
  constructor(invocation, arn, settle) {
    this.callbackWaitsForEmptyEventLoop = true;
    this.functionName = functionName;
    this.functionVersion = functionVersion;
    this.memoryLimitInMB = memoryLimitInMB;
    this.logGroupName = logGroupName;
    this.logStreamName = logStreamName;
    this.clientContext = invocation.extra?.clientContext;
    this.identity = undefined;
    this.invokedFunctionArn = invocation.extra?.arn ?? arn;
    this.awsRequestId = invocation.requestId;
    const deadlineMs = invocation.deadlineMs;
    this.getRemainingTimeInMillis = () => Math.max(0, Math.floor(deadlineMs - Date.now()));
    // The three ways to answer that Lambda kept from its first Node.js runtime.
    this.succeed = (result) => settle(undefined, result);
    this.fail = (error) => settle(error ?? 'handled', undefined);
    this.done = (error, result) => settle(error, result);
  }
}

module.exports = { Context, readEnvironment };
