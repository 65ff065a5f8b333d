/** From the fields of a request to a FunctionConfig: defaults, what Perch has not, and Lambda's rules beyond the model. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { settingsFault } from '../../store/settings.ts';
import { RUNTIMES } from '../../store/store.ts';
import type { FunctionConfig, RuntimeName } from '../../store/store.ts';
import type { ConfigFields } from './fields.ts';

/** Set by the platform for every function; a function's own would be overwritten, so Lambda refuses them. */
const RESERVED_KEYS = new Set([
  '_HANDLER',
  '_X_AMZN_TRACE_ID',
  'AWS_DEFAULT_REGION',
  'AWS_REGION',
  'AWS_EXECUTION_ENV',
  'AWS_LAMBDA_FUNCTION_NAME',
  'AWS_LAMBDA_FUNCTION_MEMORY_SIZE',
  'AWS_LAMBDA_FUNCTION_VERSION',
  'AWS_LAMBDA_INITIALIZATION_TYPE',
  'AWS_LAMBDA_LOG_GROUP_NAME',
  'AWS_LAMBDA_LOG_STREAM_NAME',
  'AWS_LAMBDA_RUNTIME_API',
  'AWS_ACCESS_KEY',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'LAMBDA_TASK_ROOT',
  'LAMBDA_RUNTIME_DIR',
]);

export function defaultConfig(): FunctionConfig {
  return {
    runtime: 'nodejs24.x',
    handler: '',
    role: '',
    description: '',
    timeoutS: 3,
    memoryMb: 128,
    ephemeralStorageMb: 512,
    architecture: process.arch === 'arm64' ? 'arm64' : 'x86_64',
    environment: {},
    tracingMode: 'PassThrough',
    logFormat: 'Text',
    deadLetterTargetArn: '',
    layers: [],
  };
}

/** `fields` over `base`. */
export function mergeConfig(
  base: FunctionConfig,
  fields: ConfigFields & { readonly Role?: string | undefined },
): FunctionConfig | UserError {
  const refusal = unsupported(fields) ?? badEnvironment(fields.Environment?.Variables ?? {});
  if (refusal !== null) return refusal;
  const runtime = fields.Runtime ?? base.runtime;
  if (!isRuntime(runtime)) return unknownRuntime(runtime);
  return {
    ...base,
    ...present({
      runtime,
      role: fields.Role,
      handler: fields.Handler,
      description: fields.Description,
      timeoutS: fields.Timeout,
      memoryMb: fields.MemorySize,
      ephemeralStorageMb: fields.EphemeralStorage?.Size,
      environment: fields.Environment?.Variables,
      tracingMode: fields.TracingConfig?.Mode,
      logFormat: fields.LoggingConfig?.LogFormat,
      deadLetterTargetArn: fields.DeadLetterConfig?.TargetArn,
    }),
  };
}

/** Without what the request left out. */
function present(fields: {
  readonly [K in keyof FunctionConfig]?: FunctionConfig[K] | null | undefined;
}): Partial<FunctionConfig> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
}

function isRuntime(name: string): name is RuntimeName {
  return (RUNTIMES as readonly string[]).includes(name);
}

function unknownRuntime(name: string): UserError {
  return new UserError(
    'InvalidParameterValueException',
    `Value ${name} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [${RUNTIMES.join(', ')}]`,
  );
}

function badEnvironment(variables: Readonly<Record<string, string>>): UserError | null {
  const prefix =
    'Lambda was unable to configure your environment variables because the environment variables you have provided';
  const reserved = Object.keys(variables).filter((key) => RESERVED_KEYS.has(key));
  if (reserved.length > 0) {
    return new UserError(
      'InvalidParameterValueException',
      `${prefix} contains reserved keys that are currently not supported for modification. Reserved keys used in this request: ${reserved.join(', ')}`,
    );
  }
  const bytes = Buffer.byteLength(JSON.stringify(variables));
  if (bytes > LIMITS.environmentBytesMax) {
    // Lambda shows the whole environment here; it may hold secrets.
    return new UserError(
      'InvalidParameterValueException',
      `${prefix} exceeded the 4KB limit. Measured as JSON: ${bytes} bytes, the limit is ${LIMITS.environmentBytesMax}.`,
    );
  }
  return nulIn(variables) ?? badSetting(variables);
}

function badSetting(variables: Readonly<Record<string, string>>): UserError | null {
  const message = settingsFault(variables);
  return message === null ? null : new UserError('InvalidParameterValueException', message);
}

/** A NUL ends a string for the kernel: the function would see another value than was set. */
function nulIn(variables: Readonly<Record<string, string>>): UserError | null {
  const key = Object.keys(variables).find((name) => variables[name]?.includes('\0') === true);
  return key === undefined
    ? null
    : new UserError(
        'InvalidParameterValueException',
        `The value of the environment variable '${key}' contains a NUL character.`,
      );
}

/** What would change how the function runs, and Perch cannot do. Empty values are what clients send to say "none". */
function unsupported(fields: ConfigFields): UserError | null {
  const asked: readonly (readonly [string, boolean])[] = [
    ['FileSystemConfigs', (fields.FileSystemConfigs?.length ?? 0) > 0],
    ['VpcConfig', (fields.VpcConfig?.SubnetIds?.length ?? 0) + (fields.VpcConfig?.SecurityGroupIds?.length ?? 0) > 0],
    ['SnapStart', fields.SnapStart?.ApplyOn === 'PublishedVersions'],
    ['KMSKeyArn', (fields.KMSKeyArn ?? '') !== ''],
    ['ImageConfig', isFilled(fields.ImageConfig)],
    ['CapacityProviderConfig', isFilled(fields.CapacityProviderConfig)],
    ['DurableConfig', isFilled(fields.DurableConfig)],
  ];
  const name = asked.find(([, isAsked]) => isAsked)?.[0];
  return name === undefined ? null : notOffered(name);
}

export function notOffered(name: string): UserError {
  return new UserError('InvalidParameterValueException', `Perch does not offer ${name}; remove it from the request.`);
}

export function isFilled(value: object | undefined | null): boolean {
  return value !== undefined && value !== null && Object.keys(value).length > 0;
}
