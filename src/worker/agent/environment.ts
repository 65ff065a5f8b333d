/** The whole environment of an instance: what Lambda promises, what its runtime needs, what its owner set. */
import { functionArn, type Account } from '../../base/arn.ts';
import type { FunctionVersion } from '../../store/store.ts';
import type { Runtime } from '../runtimes/index.ts';

export interface Surroundings {
  readonly account: Account;
  readonly responseBytesMax: number;
  /** Made for provisioned concurrency. */
  readonly provisioned: boolean;
}

/** What does not depend on the function: a stem cell has it from the start. */
function commonEnvironment(account: Account): Record<string, string> {
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin:/opt/bin',
    LD_LIBRARY_PATH: '/lib64:/usr/lib64:{code}:{code}/lib:{layers}/lib',
    LANG: 'en_US.UTF-8',
    TZ: ':UTC',
    HOME: '/tmp',
    TMPDIR: '/tmp',
    LAMBDA_TASK_ROOT: '{code}',
    LAMBDA_RUNTIME_DIR: '{runtime}',
    AWS_REGION: account.region,
    AWS_DEFAULT_REGION: account.region,
  };
}

export function cellEnvironment(runtime: Runtime, account: Account): Record<string, string> {
  return { ...commonEnvironment(account), ...runtime.env(runtime.names[0]!) };
}

export function instanceEnvironment(
  fn: FunctionVersion,
  runtime: Runtime,
  { account, responseBytesMax, provisioned }: Surroundings,
): Record<string, string> {
  const { config, functionName, version } = fn;
  return {
    ...commonEnvironment(account),
    _HANDLER: config.handler,
    AWS_LAMBDA_FUNCTION_NAME: functionName,
    AWS_LAMBDA_FUNCTION_VERSION: version,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(config.memoryMb),
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${functionName}`,
    AWS_LAMBDA_LOG_STREAM_NAME: `[${version}]${fn.revisionId}`,
    AWS_LAMBDA_LOG_FORMAT: config.logFormat,
    AWS_LAMBDA_INITIALIZATION_TYPE: provisioned ? 'provisioned-concurrency' : 'on-demand',
    PERCH_FUNCTION_ARN: functionArn(account, functionName),
    PERCH_RESPONSE_BYTES_MAX: String(responseBytesMax),
    ...runtime.env(config.runtime),
    ...config.environment,
  };
}
