/** A version of a function as the Lambda API shows it, with every field that AWS always returns. */
import { createHash } from 'node:crypto';
import type { FunctionVersion, LayerUse } from '../../store/store.ts';
import { layerVersionArn } from './layer-names.ts';
import { versionArn } from './names.ts';
import type { Account } from './names.ts';

export type FunctionConfiguration = Readonly<Record<string, unknown>>;

export function toConfiguration(account: Account, fn: FunctionVersion, qualified: boolean): FunctionConfiguration {
  const { config } = fn;
  const hasEnvironment = Object.keys(config.environment).length > 0;
  return {
    FunctionName: fn.functionName,
    FunctionArn: versionArn(account, fn, qualified),
    Runtime: config.runtime,
    Role: config.role,
    Handler: config.handler,
    CodeSize: fn.code.zipBytes,
    Description: config.description,
    Timeout: config.timeoutS,
    MemorySize: config.memoryMb,
    LastModified: timestamp(fn.lastModifiedMs),
    CodeSha256: Buffer.from(fn.code.sha256, 'hex').toString('base64'),
    Version: fn.version,
    ...(config.deadLetterTargetArn === '' ? {} : { DeadLetterConfig: { TargetArn: config.deadLetterTargetArn } }),
    ...(hasEnvironment ? { Environment: { Variables: config.environment } } : {}),
    ...(config.layers.length === 0 ? {} : { Layers: config.layers.map((layer) => layerSummary(account, layer)) }),
    TracingConfig: { Mode: config.tracingMode },
    RevisionId: fn.revisionId,
    // A function is usable as soon as it is on disk: there is nothing to wait for.
    State: 'Active',
    LastUpdateStatus: 'Successful',
    PackageType: 'Zip',
    Architectures: [config.architecture],
    EphemeralStorage: { Size: config.ephemeralStorageMb },
    SnapStart: { ApplyOn: 'None', OptimizationStatus: 'Off' },
    RuntimeVersionConfig: { RuntimeVersionArn: runtimeVersionArn(account, config.runtime) },
    LoggingConfig: { LogFormat: config.logFormat, LogGroup: `/aws/lambda/${fn.functionName}` },
  };
}

function layerSummary(account: Account, layer: LayerUse): Record<string, unknown> {
  return { Arn: layerVersionArn(account, layer), CodeSize: layer.code.zipBytes };
}

/** Names the runtime and the Node that it is here. */
export function runtimeVersionArn(account: Account, runtime: string): string {
  const hash = createHash('sha256').update(`${runtime} ${process.version}`).digest('hex');
  return `arn:aws:lambda:${account.region}::runtime:${hash}`;
}

export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '+0000');
}
