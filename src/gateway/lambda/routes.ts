/** Lambda's operations, those that Perch offers. Invoke has its own way in: see invoke.ts. */
import { LIMITS } from '../../base/limits.ts';
import type { Route } from '../route.ts';
import {
  getAccountSettings,
  getFunctionCodeSigningConfig,
  getFunctionRecursionConfig,
  getPolicy,
  getRuntimeManagementConfig,
} from './account.ts';
import { deleteFunctionConcurrency, getFunctionConcurrency, putFunctionConcurrency } from './concurrency.ts';
import {
  createFunction,
  deleteFunction,
  getFunction,
  getFunctionConfiguration,
  listFunctions,
  updateFunctionCode,
  updateFunctionConfiguration,
} from './functions.ts';
import {
  deleteProvisionedConcurrencyConfig,
  getProvisionedConcurrencyConfig,
  putProvisionedConcurrencyConfig,
} from './provisioned.ts';
import { deleteLayerVersion, getLayerVersion, listLayerVersions, listLayers, publishLayerVersion } from './layers.ts';
import { listTags, tagResource, untagResource } from './tags.ts';
import { listVersionsByFunction, publishVersion } from './versions.ts';

const BODY = 256 * 1024;
const CODE_BODY = LIMITS.apiRequestBytesMax;

const FUNCTIONS = '/2015-03-31/functions';
const FUNCTION = `${FUNCTIONS}/:FunctionName`;
const PROVISIONED = '/2019-09-30/functions/:FunctionName/provisioned-concurrency';
const LAYERS = '/2018-10-31/layers';
const LAYER = `${LAYERS}/:LayerName/versions`;
const TAGS = '/2017-03-31/tags/:Resource';

// oxfmt-ignore
export const LAMBDA_ROUTES: readonly Route[] = [
  { method: 'POST', path: FUNCTIONS, operation: 'CreateFunction', bodyBytesMax: CODE_BODY, answer: createFunction },
  { method: 'GET', path: FUNCTIONS, operation: 'ListFunctions', answer: listFunctions },
  { method: 'GET', path: FUNCTION, operation: 'GetFunction', answer: getFunction },
  { method: 'DELETE', path: FUNCTION, operation: 'DeleteFunction', answer: deleteFunction },
  { method: 'GET', path: `${FUNCTION}/configuration`, operation: 'GetFunctionConfiguration', answer: getFunctionConfiguration },
  { method: 'PUT', path: `${FUNCTION}/configuration`, operation: 'UpdateFunctionConfiguration', bodyBytesMax: BODY, answer: updateFunctionConfiguration },
  { method: 'PUT', path: `${FUNCTION}/code`, operation: 'UpdateFunctionCode', bodyBytesMax: CODE_BODY, answer: updateFunctionCode },
  { method: 'POST', path: `${FUNCTION}/versions`, operation: 'PublishVersion', bodyBytesMax: BODY, answer: publishVersion },
  { method: 'GET', path: `${FUNCTION}/versions`, operation: 'ListVersionsByFunction', answer: listVersionsByFunction },
  { method: 'GET', path: `${FUNCTION}/policy`, operation: 'GetPolicy', answer: getPolicy },
  { method: 'PUT', path: '/2017-10-31/functions/:FunctionName/concurrency', operation: 'PutFunctionConcurrency', bodyBytesMax: BODY, answer: putFunctionConcurrency },
  { method: 'DELETE', path: '/2017-10-31/functions/:FunctionName/concurrency', operation: 'DeleteFunctionConcurrency', answer: deleteFunctionConcurrency },
  { method: 'GET', path: '/2019-09-30/functions/:FunctionName/concurrency', operation: 'GetFunctionConcurrency', answer: getFunctionConcurrency },
  { method: 'PUT', path: PROVISIONED, operation: 'PutProvisionedConcurrencyConfig', bodyBytesMax: BODY, answer: putProvisionedConcurrencyConfig },
  { method: 'GET', path: PROVISIONED, operation: 'GetProvisionedConcurrencyConfig', answer: getProvisionedConcurrencyConfig },
  { method: 'DELETE', path: PROVISIONED, operation: 'DeleteProvisionedConcurrencyConfig', answer: deleteProvisionedConcurrencyConfig },
  { method: 'POST', path: LAYER, operation: 'PublishLayerVersion', bodyBytesMax: CODE_BODY, answer: publishLayerVersion },
  { method: 'GET', path: LAYER, operation: 'ListLayerVersions', answer: listLayerVersions },
  { method: 'GET', path: `${LAYER}/:VersionNumber`, operation: 'GetLayerVersion', answer: getLayerVersion },
  { method: 'DELETE', path: `${LAYER}/:VersionNumber`, operation: 'DeleteLayerVersion', answer: deleteLayerVersion },
  { method: 'GET', path: LAYERS, operation: 'ListLayers', answer: listLayers },
  { method: 'POST', path: TAGS, operation: 'TagResource', bodyBytesMax: BODY, answer: tagResource },
  { method: 'DELETE', path: TAGS, operation: 'UntagResource', answer: untagResource },
  { method: 'GET', path: TAGS, operation: 'ListTags', answer: listTags },
  { method: 'GET', path: '/2016-08-19/account-settings', operation: 'GetAccountSettings', answer: getAccountSettings },
  { method: 'GET', path: '/2020-06-30/functions/:FunctionName/code-signing-config', operation: 'GetFunctionCodeSigningConfig', answer: getFunctionCodeSigningConfig },
  { method: 'GET', path: '/2021-07-20/functions/:FunctionName/runtime-management-config', operation: 'GetRuntimeManagementConfig', answer: getRuntimeManagementConfig },
  { method: 'GET', path: '/2024-08-31/functions/:FunctionName/recursion-config', operation: 'GetFunctionRecursionConfig', answer: getFunctionRecursionConfig },
];
