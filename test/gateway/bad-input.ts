/**
 * What bad input gets: the rows of the table in docs/ERRORS.md, each with what it sends. `expected` is an API error's
 * code, or a function error's type after "function error".
 */
import { makeZip } from '../lib/zip.ts';

export interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface BadInput {
  readonly input: string;
  readonly expected: string;
  /** Part of the message. */
  readonly says: RegExp;
  readonly send: () => Sent | Promise<Sent>;
}

const LAYER_ARN = 'arn:aws:lambda:us-east-1:000000000000:layer:l';
const FUNCTIONS = '/2015-03-31/functions';
/** The function that is there all along; it answers with what it was sent. */
export const ECHO = 'echo';
const ECHO_PATH = `${FUNCTIONS}/${ECHO}`;

const PROVISIONED = `/2019-09-30/functions/${ECHO}/provisioned-concurrency`;

const ECHO_SOURCE = 'export const handler = async (event) => event;';

export async function creation(
  name: string,
  change: Record<string, unknown> = {},
  source = ECHO_SOURCE,
): Promise<Sent> {
  const ZipFile = (await makeZip({ 'index.mjs': source })).toString('base64');
  const fields = {
    FunctionName: name,
    Role: 'arn:aws:iam::000000000000:role/perch',
    Runtime: 'nodejs24.x',
    Handler: 'index.handler',
    Code: { ZipFile },
    ...change,
  };
  return { method: 'POST', path: FUNCTIONS, body: JSON.stringify(fields) };
}

export function invocation(functionName: string, more: Omit<Sent, 'path'> & { query?: string } = {}): Sent {
  return { method: 'POST', path: `${FUNCTIONS}/${functionName}/invocations${more.query ?? ''}`, ...more };
}

function row(input: string, expected: string, says: RegExp, send: () => Sent | Promise<Sent>): BadInput {
  return { input, expected, says, send };
}

const MB = 1024 * 1024;
const KNOWLEDGE = '/perch/v1/functions/echo/knowledge';
const KNOWLEDGE_TOO_LARGE =
  /smaller than 65536 bytes for the PutKnowledge operation: rules have at most 4096 characters, a plug-in at most 16384 bytes\.$/;
const BIG_ENVIRONMENT = { Environment: { Variables: { BIG: 'x'.repeat(4096) } } };

// oxfmt-ignore
const REQUESTS: readonly BadInput[] = [
  // Deploying
  row('a zip that is none', 'InvalidParameterValueException', /unzip|zip/i, () => creation('bad', { Code: { ZipFile: 'bm90IGEgemlw' } })),
  row('a zip cut off', 'InvalidParameterValueException', /zip/i, async () => {
    const zip = await makeZip({ 'index.mjs': ECHO_SOURCE });
    return creation('bad', { Code: { ZipFile: zip.subarray(0, zip.length - 30).toString('base64') } });
  }),
  row('a zip with a path that leaves its folder', 'InvalidParameterValueException', /escape\.txt/, async () => {
    const zip = await makeZip({ 'aa/escape.txt': 'x' });
    const evil = Buffer.from(zip.toString('latin1').replaceAll('aa/escape.txt', '../escape.txt'), 'latin1');
    return creation('bad', { Code: { ZipFile: evil.toString('base64') } });
  }),
  row('a ZipFile that is not base64', 'SerializationException', /code\.zipFile/, () => creation('bad', { Code: { ZipFile: 'no base64!' } })),
  row('no code', 'ValidationException', /Value null at 'code'/, () => creation('bad', { Code: undefined })),
  row('an empty Code', 'InvalidParameterValueException', /provide a source/, () => creation('bad', { Code: {} })),
  row('code in S3', 'InvalidParameterValueException', /ZipFile/, () => creation('bad', { Code: { S3Bucket: 'bucket', S3Key: 'key' } })),
  row('a container image', 'InvalidParameterValueException', /ImageUri/, () => creation('bad', { Code: { ImageUri: 'image' } })),
  row('a layer that is not there', 'InvalidParameterValueException', /Layer version .*:layer:l:1 does not exist/, () => creation('bad', { Layers: [`${LAYER_ARN}:1`] })),
  row('a layer of another region', 'InvalidParameterValueException', /expected to be in region us-east-1/, () => creation('bad', { Layers: ['arn:aws:lambda:eu-west-1:000000000000:layer:l:1'] })),
  row('a layer without its version', 'ValidationException', /at 'layers'/, () => creation('bad', { Layers: [LAYER_ARN] })),
  row('six layers', 'InvalidParameterValueException', /more than 5 layers/, () => creation('bad', { Layers: Array.from({ length: 6 }, (_, index) => `${LAYER_ARN}:${index + 1}`) })),
  row('a version of a layer that is not there', 'ResourceNotFoundException', /does not exist/, async () => ({ method: 'GET', path: '/2018-10-31/layers/nobody/versions/1' })),
  row('the version 0 of a layer', 'InvalidParameterValueException', /less than 1/, async () => ({ method: 'GET', path: '/2018-10-31/layers/l/versions/0' })),
  row('a version of a layer that is no number', 'SerializationException', /versionNumber/, async () => ({ method: 'DELETE', path: '/2018-10-31/layers/l/versions/one' })),
  row('a name of a layer with a dot', 'ValidationException', /layerName/, async () => ({ method: 'GET', path: '/2018-10-31/layers/a.b/versions' })),
  row('a layer in S3', 'InvalidParameterValueException', /ZipFile/, async () => ({ method: 'POST', path: '/2018-10-31/layers/l/versions', body: '{"Content":{"S3Bucket":"bucket","S3Key":"key"}}' })),
  row('a layer without content', 'ValidationException', /Value null at 'content'/, async () => ({ method: 'POST', path: '/2018-10-31/layers/l/versions', body: '{}' })),
  row('an unknown runtime', 'InvalidParameterValueException', /Value cobol at 'runtime'.*nodejs24\.x/, () => creation('bad', { Runtime: 'cobol' })),
  row('no handler', 'InvalidParameterValueException', /Runtime and Handler are mandatory/, () => creation('bad', { Handler: undefined })),
  row('a handler with a space', 'ValidationException', /'a b' at 'handler'.*\[\^\\s\]\+/, () => creation('bad', { Handler: 'a b' })),
  row('a name of more than 64 characters', 'ValidationException', /length less than or equal to 64/, () => creation('x'.repeat(65))),
  row('a name of more than 140 characters', 'ValidationException', /length less than or equal to 140/, () => creation('x'.repeat(141))),
  row('a name with bad characters', 'ValidationException', /'no\/good' at 'functionName'.*regular expression/, () => creation('no/good')),
  row('a name that is taken', 'ResourceConflictException', /echo/, () => creation(ECHO)),
  row('no role', 'ValidationException', /Value null at 'role'/, () => creation('bad', { Role: undefined })),
  row('a role that is no ARN', 'ValidationException', /'me' at 'role'/, () => creation('bad', { Role: 'me' })),
  row('a memory of -1 MB', 'ValidationException', /'-1' at 'memorySize'.*128/, () => creation('bad', { MemorySize: -1 })),
  row('a memory of 32,769 MB', 'ValidationException', /'32769' at 'memorySize'.*32768/, () => creation('bad', { MemorySize: 32_769 })),
  row('a timeout of 0 s', 'ValidationException', /'0' at 'timeout'/, () => creation('bad', { Timeout: 0 })),
  row('a timeout of 901 s', 'ValidationException', /'901' at 'timeout'.*900/, () => creation('bad', { Timeout: 901 })),
  row('a number as text', 'SerializationException', /STRING_VALUE.*'memorySize'/, () => creation('bad', { MemorySize: '128' })),
  row('a list where a text belongs', 'SerializationException', /list.*'handler'/, () => creation('bad', { Handler: ['index.handler'] })),
  row('a request that is a list', 'SerializationException', /structure/, async () => ({ ...(await creation('bad')), body: '[]' })),
  row('a request that is no JSON', 'InvalidRequestContentException', /Could not parse request body into json/, async () => ({ ...(await creation('bad')), body: '{"FunctionName":' })),
  row('an environment of more than 4 KB', 'InvalidParameterValueException', /exceeded the 4KB limit/, () => creation('bad', BIG_ENVIRONMENT)),
  row('a reserved environment variable', 'InvalidParameterValueException', /AWS_REGION/, () => creation('bad', { Environment: { Variables: { AWS_REGION: 'mars-1' } } })),
  row('an environment variable with a bad name', 'ValidationException', /environment\.variables/, () => creation('bad', { Environment: { Variables: { '1A': 'x' } } })),
  row('an environment variable with a NUL in its value', 'InvalidParameterValueException', /'AB'.*NUL/, () => creation('bad', { Environment: { Variables: { AB: 'x\0y' } } })),
  row('an isolation that is none', 'InvalidParameterValueException', /PERCH_ISOLATION has the value 'clean'.*reuse, fresh, process\./, () => creation('bad', { Environment: { Variables: { PERCH_ISOLATION: 'clean' } } })),
  row('a network that is none', 'InvalidParameterValueException', /PERCH_NETWORK has the value 'vpc'.*none, outbound, host/, () => ({ method: 'PUT', path: `${ECHO_PATH}/configuration`, body: '{"Environment":{"Variables":{"PERCH_NETWORK":"vpc"}}}' })),
  row('a sharing that is none', 'InvalidParameterValueException', /PERCH_SHARING has the value 'lend'.*one of shared, dedicated, spare/, () => creation('bad', { Environment: { Variables: { PERCH_SHARING: 'lend' } } })),
  row('a number of cores that is none', 'InvalidParameterValueException', /PERCH_CORES has the value '33'.*a whole number from 1 to 32\./, () => creation('bad', { Environment: { Variables: { PERCH_CORES: '33' } } })),
  row('the network of the host, where it is not allowed', 'InvalidParameterValueException', /PERCH_NETWORK.*'host'.*--allow-host-network/, () => creation('bad', { Environment: { Variables: { PERCH_NETWORK: 'host' } } })),
  row('a tag with an isolation that is none', 'InvalidParameterValueException', /tag perch:isolation has the value 'clean'.*reuse, fresh, process\./, () => ({ method: 'POST', path: '/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aecho', body: '{"Tags":{"perch:isolation":"clean"}}' })),
  row('more than 50 tags', 'InvalidParameterValueException', /50 tags/, () => creation('bad', { Tags: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, 'v'])) })),
  row('an update of a function that is not there', 'ResourceNotFoundException', /function:nobody/, async () => ({ method: 'PUT', path: `${FUNCTIONS}/nobody/code`, body: '{"ZipFile":"AAAA"}' })),
  row('an update with a RevisionId that is not the latest', 'PreconditionFailedException', /Revision/, () => ({ method: 'PUT', path: `${ECHO_PATH}/configuration`, body: '{"RevisionId":"old","Timeout":5}' })),
  row('a negative reserved concurrency', 'ValidationException', /'-1' at 'reservedConcurrentExecutions'/, () => ({ method: 'PUT', path: `/2017-10-31/functions/${ECHO}/concurrency`, body: '{"ReservedConcurrentExecutions":-1}' })),
  row('provisioned concurrency of $LATEST', 'InvalidParameterValueException', /unpublished/, () => ({ method: 'PUT', path: `${PROVISIONED}?Qualifier=$LATEST`, body: '{"ProvisionedConcurrentExecutions":1}' })),
  row('provisioned concurrency of no version', 'ValidationException', /null at 'qualifier'/, () => ({ method: 'PUT', path: PROVISIONED, body: '{"ProvisionedConcurrentExecutions":1}' })),
  row('provisioned concurrency of a version that is not there', 'ResourceNotFoundException', /function:echo:7$/, () => ({ method: 'PUT', path: `${PROVISIONED}?Qualifier=7`, body: '{"ProvisionedConcurrentExecutions":1}' })),
  row('the deletion of $LATEST', 'InvalidParameterValueException', /\$LATEST version cannot be deleted/, () => ({ method: 'DELETE', path: `${ECHO_PATH}?Qualifier=$LATEST` })),
  row('tags of a resource that is no function', 'ValidationException', /at 'resource'/, () => ({ path: '/2017-03-31/tags/arn%3Aaws%3As3%3A%3A%3Abucket' })),
  row('a rule without what wakes it', 'InvalidParameterValueException', /^Line 1 of the rules: after 'sleep' comes 'until'/, () => ({ method: 'PUT', path: KNOWLEDGE, body: '{"rules":"after sent sleep"}' })),
  row('a plug-in that is no WebAssembly module', 'InvalidParameterValueException', /^The plug-in, at byte 0: this is no WebAssembly module/, () => ({ method: 'PUT', path: KNOWLEDGE, body: '{"plugin":"IyEvYmluL3NoCg=="}' })),
  row('rules of more than 64 KB', 'RequestTooLargeException', KNOWLEDGE_TOO_LARGE, () => ({ method: 'PUT', path: KNOWLEDGE, body: JSON.stringify({ rules: '#'.repeat(65_536) }) })),
  row('a plug-in of more than 64 KB, sent in chunks', 'RequestTooLargeException', KNOWLEDGE_TOO_LARGE, () => ({ method: 'PUT', path: KNOWLEDGE, body: JSON.stringify({ plugin: 'A'.repeat(65_536) }), headers: { 'transfer-encoding': 'chunked' } })),
  row('a MaxItems of 0', 'ValidationException', /'0' at 'maxItems'/, () => ({ path: `${FUNCTIONS}?MaxItems=0` })),
  row('a MaxItems that is no number', 'SerializationException', /'many' at 'maxItems'/, () => ({ path: `${FUNCTIONS}?MaxItems=many` })),

  // Invoking
  row('an unknown function', 'ResourceNotFoundException', /Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody$/, () => invocation('nobody')),
  row('an unknown version', 'ResourceNotFoundException', /function:echo:99$/, () => invocation(ECHO, { query: '?Qualifier=99' })),
  row('a version in the name and another in the query', 'InvalidParameterValueException', /does not match/, () => invocation(`${ECHO}:1`, { query: '?Qualifier=2' })),
  row('the function of another account', 'ResourceNotFoundException', /111111111111/, () => invocation('arn%3Aaws%3Alambda%3Aus-east-1%3A111111111111%3Afunction%3Aecho')),
  row('a payload that is no JSON', 'InvalidRequestContentException', /Could not parse request body into json/, () => invocation(ECHO, { body: '{"a":' })),
  row('a payload of more than 64 KB that is no JSON', 'InvalidRequestContentException', /Could not parse request body into json/, () => invocation(ECHO, { body: `{"a":"${'x'.repeat(100_000)}"` })),
  row('a payload that is not UTF-8', 'InvalidRequestContentException', /UTF-8/, () => invocation(ECHO, { body: Buffer.from([0x22, 0xff, 0x22]) })),
  row('a payload of more than 6 MB', 'RequestTooLargeException', /smaller than 6291456 bytes for the InvokeFunction operation/, () => invocation(ECHO, { body: `"${'x'.repeat(6 * MB)}"` })),
  row('a payload of more than 6 MB, sent in chunks', 'RequestTooLargeException', /smaller than 6291456 bytes/, () => invocation(ECHO, { body: `"${'x'.repeat(6 * MB)}"`, headers: { 'transfer-encoding': 'chunked' } })),
  row('an asynchronous payload of more than 1 MB', 'RequestTooLargeException', /smaller than 1048576 bytes/, () => invocation(ECHO, { body: `"${'x'.repeat(MB)}"`, headers: { 'x-amz-invocation-type': 'Event' } })),
  row('an asynchronous payload that is no JSON', 'InvalidRequestContentException', /json/, () => invocation(ECHO, { body: 'x', headers: { 'x-amz-invocation-type': 'Event' } })),
  row('a compressed payload', 'UnsupportedMediaTypeException', /gzip/, () => invocation(ECHO, { body: 'x', headers: { 'content-encoding': 'gzip' } })),
  row('an unknown invocation type', 'ValidationException', /'Later' at 'invocationType'.*\[Event, RequestResponse, DryRun\]/, () => invocation(ECHO, { headers: { 'x-amz-invocation-type': 'Later' } })),
  row('an unknown log type', 'ValidationException', /'All' at 'logType'/, () => invocation(ECHO, { headers: { 'x-amz-log-type': 'All' } })),
  row('a client context that is not base64', 'InvalidRequestContentException', /Client context must be a valid Base64-encoded JSON object/, () => invocation(ECHO, { headers: { 'x-amz-client-context': '{}' } })),
  row('a client context that is no JSON object', 'InvalidRequestContentException', /Client context/, () => invocation(ECHO, { headers: { 'x-amz-client-context': 'WzFd' } })),
  row('a client context of more than 3,583 bytes', 'InvalidRequestContentException', /3583/, () => invocation(ECHO, { headers: { 'x-amz-client-context': 'e'.repeat(3584) } })),

  // HTTP
  row('an unknown path', 'UnknownOperationException', /GET and the path \/nowhere/, () => ({ path: '/nowhere' })),
  row('a wrong method', 'UnknownOperationException', /That path has GET, POST/, () => ({ method: 'PATCH', path: FUNCTIONS })),
  row('an operation of Lambda that Perch does not offer', 'UnknownOperationException', /CreateAlias/, () => ({ method: 'POST', path: `${ECHO_PATH}/aliases`, body: '{}' })),
  row('a path that cannot be decoded', 'UnknownOperationException', /%zz/, () => ({ path: `${FUNCTIONS}/%zz` })),
  row('headers of more than 16 KB', 'RequestTooLargeException', /headers.*16384/, () => ({ path: FUNCTIONS, headers: { 'x-huge': 'x'.repeat(17_000) } })),
  row('an expectation that is none', 'InvalidRequestContentException', /'banana'.*100-continue/, () => invocation(ECHO, { headers: { expect: 'banana' } })),
  row('a web page (Origin)', 'AccessDeniedException', /web page/, () => ({ path: FUNCTIONS, headers: { origin: 'https://example.com' } })),
  row('a web page (Sec-Fetch-Site)', 'AccessDeniedException', /web page/, () => invocation(ECHO, { headers: { 'sec-fetch-site': 'cross-site' } })),
  row('a foreign host name', 'AccessDeniedException', /'rebound\.example\.com:80'/, () => ({ path: FUNCTIONS, headers: { host: 'rebound.example.com:80' } })),
];

/** Functions that are accepted, and fail when they are invoked. */
export interface BadFunction {
  readonly input: string;
  readonly expected: string;
  readonly says: RegExp;
  readonly source: string;
  readonly handler?: string;
  readonly event?: string;
}

// oxfmt-ignore
export const BAD_FUNCTIONS: readonly BadFunction[] = [
  { input: 'a handler whose file is not in the zip', expected: 'Runtime.ImportModuleError', says: /missing/, source: '', handler: 'missing.handler' },
  { input: 'an import that is not in the zip', expected: 'Runtime.ImportModuleError', says: /nonesuch/, source: "import 'nonesuch'; export const handler = () => 1;" },
  { input: 'a handler that is not exported', expected: 'Runtime.HandlerNotFound', says: /handler/, source: 'export const other = () => 1;' },
  { input: 'a handler without a dot', expected: 'Runtime.MalformedHandlerName', says: /handler/i, source: 'export const handler = () => 1;', handler: 'handler' },
  { input: 'a syntax error', expected: 'Runtime.UserCodeSyntaxError', says: /./, source: 'export const handler = (' },
  { input: 'a handler that returns a BigInt', expected: 'Runtime.MarshalError', says: /BigInt/, source: 'export const handler = async () => 1n;' },
  { input: 'a handler that returns something circular', expected: 'Runtime.MarshalError', says: /circular/i, source: 'export const handler = async () => { const a = {}; a.a = a; return a; };' },
  { input: 'a handler that throws', expected: 'RangeError', says: /too far/, source: "export const handler = async () => { throw new RangeError('too far'); };" },
  { input: 'a handler that exits', expected: 'Runtime.ExitError', says: /exit/i, source: 'export const handler = async () => process.exit(3);' },
  { input: 'a handler that never ends', expected: 'Sandbox.Timedout', says: /timed out after 1\.00 seconds/, source: 'export const handler = async () => { for (;;); };' },
  { input: 'a rejection that nobody handles', expected: 'Runtime.UnhandledPromiseRejection', says: /lost/, source: "export const handler = async () => { Promise.reject(new Error('lost')); await new Promise(() => setTimeout(() => 0, 900)); };" },
  { input: 'a response of more than 6 MB', expected: 'Function.ResponseSizeTooLarge', says: /6291556|size/i, source: "export const handler = async () => 'x'.repeat(7 * 1024 * 1024);" },
];

/** What is no error, though it looks like one: the answer is the body. */
// oxfmt-ignore
export const ODD_FUNCTIONS: readonly { readonly input: string; readonly answer: string; readonly source: string }[] = [
  { input: 'a handler that returns undefined', answer: 'null', source: 'export const handler = async () => undefined;' },
  { input: 'a handler that returns a function', answer: 'null', source: 'export const handler = async () => () => 1;' },
  { input: 'no payload', answer: '{}', source: ECHO_SOURCE },
];

export const BAD_REQUESTS = REQUESTS;
