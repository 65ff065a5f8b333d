/** The shapes of the requests that Perch understands, from the service model of Lambda (2015-03-31). */
import { LIMITS } from '../../base/limits.ts';
import type { FieldSpec, FieldsOf } from './constraints.ts';
import { LAYER_VERSION_ARN } from './layer-names.ts';
import { FUNCTION_NAME } from './names.ts';

const ANY = { type: 'string' } as const;

const TAGS = {
  type: 'map',
  key: { type: 'string', lengthMin: 1, lengthMax: 128 },
  value: { type: 'string', lengthMax: 256 },
} as const;

const CODE = { ZipFile: ANY, S3Bucket: ANY, S3Key: ANY, S3ObjectVersion: ANY, ImageUri: ANY } as const;

export const ARCHITECTURE = { type: 'string', values: ['x86_64', 'arm64'] } as const;

const ARCHITECTURES = {
  type: 'list',
  item: ARCHITECTURE,
  countMin: 1,
  countMax: 1,
} as const;

/** What an owner sets, at creation and later. */
const CONFIG = {
  Runtime: ANY,
  Handler: { type: 'string', lengthMax: LIMITS.handlerLengthMax, pattern: '[^\\s]+' },
  Description: { type: 'string', lengthMax: LIMITS.descriptionLengthMax },
  Timeout: { type: 'integer', min: 1, max: LIMITS.timeoutSMax },
  MemorySize: { type: 'integer', min: LIMITS.memoryMbMin, max: LIMITS.memoryMbMax },
  Environment: {
    type: 'structure',
    fields: { Variables: { type: 'map', key: { type: 'string', pattern: '[a-zA-Z]([a-zA-Z0-9_])+' }, value: ANY } },
  },
  DeadLetterConfig: {
    type: 'structure',
    fields: { TargetArn: { type: 'string', pattern: '(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()' } },
  },
  TracingConfig: { type: 'structure', fields: { Mode: { type: 'string', values: ['Active', 'PassThrough'] } } },
  EphemeralStorage: {
    type: 'structure',
    fields: { Size: { type: 'integer', required: true, min: 512, max: 10_240 } },
  },
  LoggingConfig: {
    type: 'structure',
    fields: {
      LogFormat: { type: 'string', values: ['JSON', 'Text'] },
      LogGroup: { type: 'string', lengthMin: 1, lengthMax: 512, pattern: '[\\.\\-_/#A-Za-z0-9]+' },
    },
  },
  Layers: { type: 'list', item: LAYER_VERSION_ARN },
  // What Perch does not have. Named, so that a request for it is refused rather than half done.
  FileSystemConfigs: { type: 'list', item: { type: 'structure', fields: {} } },
  VpcConfig: {
    type: 'structure',
    fields: { SubnetIds: { type: 'list', item: ANY }, SecurityGroupIds: { type: 'list', item: ANY } },
  },
  SnapStart: { type: 'structure', fields: { ApplyOn: { type: 'string', values: ['PublishedVersions', 'None'] } } },
  KMSKeyArn: ANY,
  ImageConfig: { type: 'structure', fields: {} },
  CapacityProviderConfig: { type: 'structure', fields: {} },
  DurableConfig: { type: 'structure', fields: {} },
} as const satisfies Record<string, FieldSpec>;

const ROLE_PATTERN = 'arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+';

export const CREATE_FUNCTION = {
  FunctionName: FUNCTION_NAME,
  Role: { type: 'string', required: true, pattern: ROLE_PATTERN },
  Code: { type: 'structure', required: true, fields: CODE },
  Publish: { type: 'boolean' },
  PackageType: { type: 'string', values: ['Zip', 'Image'] },
  Tags: TAGS,
  Architectures: ARCHITECTURES,
  CodeSigningConfigArn: ANY,
  TenancyConfig: { type: 'structure', fields: {} },
  ...CONFIG,
} as const satisfies Record<string, FieldSpec>;

export const UPDATE_CONFIGURATION = {
  Role: { type: 'string', pattern: ROLE_PATTERN },
  RevisionId: ANY,
  ...CONFIG,
} as const satisfies Record<string, FieldSpec>;

export const UPDATE_CODE = {
  ...CODE,
  Publish: { type: 'boolean' },
  DryRun: { type: 'boolean' },
  RevisionId: ANY,
  Architectures: ARCHITECTURES,
} as const satisfies Record<string, FieldSpec>;

export const PUBLISH_VERSION = {
  CodeSha256: ANY,
  Description: { type: 'string', lengthMax: LIMITS.descriptionLengthMax },
  RevisionId: ANY,
} as const satisfies Record<string, FieldSpec>;

export const PUT_CONCURRENCY = {
  ReservedConcurrentExecutions: { type: 'integer', required: true, min: 0, max: 2_147_483_647 },
} as const satisfies Record<string, FieldSpec>;

export const PUT_PROVISIONED = {
  ProvisionedConcurrentExecutions: { type: 'integer', required: true, min: 1, max: 2_147_483_647 },
} as const satisfies Record<string, FieldSpec>;

export const TAG_RESOURCE = { Tags: { ...TAGS, required: true } } as const satisfies Record<string, FieldSpec>;

/** Any name: layers may be for runtimes that this Perch has not. */
export const LAYER_RUNTIME = { type: 'string', lengthMin: 1, lengthMax: 64, pattern: '[a-z0-9.]+' } as const;

export const PUBLISH_LAYER = {
  Description: { type: 'string', lengthMax: LIMITS.descriptionLengthMax },
  Content: { type: 'structure', required: true, fields: CODE },
  CompatibleRuntimes: { type: 'list', item: LAYER_RUNTIME, countMax: 15 },
  LicenseInfo: { type: 'string', lengthMax: 512 },
  CompatibleArchitectures: { type: 'list', item: ARCHITECTURE, countMax: 2 },
} as const satisfies Record<string, FieldSpec>;

export type ConfigFields = FieldsOf<typeof CONFIG>;
export type CodeFields = FieldsOf<typeof CODE>;
