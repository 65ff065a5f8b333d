/**
 * The one table of errors that Perch answers with. Two disjoint sets:
 *
 * - `API_ERRORS`: what a client gets as an HTTP error. The codes, statuses and key case are AWS Lambda's own
 *   (service model of Lambda, API version 2015-03-31), so that SDKs raise the exception their users catch.
 * - `FUNCTION_ERRORS`: what a function did to its own invocation. The client gets HTTP 200, the header
 *   `X-Amz-Function-Error: Unhandled`, and a body with `errorType` and `errorMessage`.
 *
 * A user's error is a value (`UserError`), not an exception: functions return `T | UserError`.
 * docs/ERRORS.md is checked against this table.
 */
interface ApiErrorSpec {
  readonly status: number;
  /** AWS spells the message key `Message` in some error shapes and `message` in the others. */
  readonly messageKey: 'Message' | 'message';
  readonly meaning: string;
  readonly action: string;
}

export const API_ERRORS = {
  InvalidParameterValueException: {
    status: 400,
    messageKey: 'message',
    meaning: 'A parameter of the request has a value that Perch cannot use.',
    action: 'Correct the parameter that the message names.',
  },
  ValidationException: {
    status: 400,
    messageKey: 'message',
    meaning: 'A parameter breaks a constraint of the Lambda API (length, pattern, range, missing).',
    action: 'Correct the parameter that the message names.',
  },
  InvalidRequestContentException: {
    status: 400,
    messageKey: 'message',
    meaning: 'The body of the request is not the JSON it has to be.',
    action: 'Send valid JSON in UTF-8.',
  },
  SerializationException: {
    status: 400,
    messageKey: 'Message',
    meaning: 'A field of the request has the wrong JSON type.',
    action: 'Send the type that the message names.',
  },
  CodeStorageExceededException: {
    status: 400,
    messageKey: 'message',
    meaning: 'The stored code of all functions would exceed its limit.',
    action: 'Delete functions or versions, or raise the limit.',
  },
  MissingAuthenticationTokenException: {
    status: 403,
    messageKey: 'message',
    meaning: 'The request carries no signature and this gateway asks for one.',
    action: 'Configure the client with the access key that `perch up` was given.',
  },
  UnrecognizedClientException: {
    status: 403,
    messageKey: 'message',
    meaning: 'The access key of the request is not one that this gateway knows.',
    action: 'Use a configured access key.',
  },
  InvalidSignatureException: {
    status: 403,
    messageKey: 'message',
    meaning: 'The signature of the request does not match, or is too old.',
    action: 'Check the secret key and the clock of the client.',
  },
  AccessDeniedException: {
    status: 403,
    messageKey: 'Message',
    meaning: 'The caller may not talk to this gateway (a web page, a function, or a foreign host name).',
    action: 'Call from a program of your own, by the address that the gateway listens on.',
  },
  ResourceNotFoundException: {
    status: 404,
    messageKey: 'Message',
    meaning: 'The function, version or chain that the request names does not exist.',
    action: 'Check the name; `perch list` and `perch chain list` show what there is.',
  },
  ProvisionedConcurrencyConfigNotFoundException: {
    status: 404,
    messageKey: 'message',
    meaning: 'The version that the request names has no provisioned concurrency.',
    action: 'Put one with PutProvisionedConcurrencyConfig; `perch doctor NAME` shows what there is.',
  },
  UnknownOperationException: {
    status: 404,
    messageKey: 'message',
    meaning: 'The path and method are no operation that this gateway offers.',
    action: 'See docs/API.md for the operations.',
  },
  ResourceConflictException: {
    status: 409,
    messageKey: 'message',
    meaning: 'The resource exists already, or is being changed by another request.',
    action: 'Choose another name, or update instead of create.',
  },
  PreconditionFailedException: {
    status: 412,
    messageKey: 'message',
    meaning: 'The RevisionId of the request is not the latest one.',
    action: 'Read the function again and repeat the change.',
  },
  RequestTooLargeException: {
    status: 413,
    messageKey: 'message',
    meaning: 'The request is larger than its limit.',
    action: 'Send less; pass large data by reference.',
  },
  UnsupportedMediaTypeException: {
    status: 415,
    messageKey: 'message',
    meaning: 'The body of the invocation is compressed or otherwise encoded.',
    action: 'Send plain JSON.',
  },
  TooManyRequestsException: {
    status: 429,
    messageKey: 'message',
    meaning:
      'No core and no place in the queue for the request; or it waited longer than 0.5 s and ten times what the function takes, while more came than the cores can serve, for 2 s or longer; or the function is at its reserved concurrency.',
    action: 'Retry with back-off, raise the reserved concurrency, or add cores.',
  },
  ServiceException: {
    status: 500,
    messageKey: 'Message',
    meaning: 'The platform failed at the request.',
    action: 'Retry; the log of the platform says what happened.',
  },
  ServiceUnavailableException: {
    status: 503,
    messageKey: 'message',
    meaning: 'The platform is shutting down, or the node that has the store cannot be reached.',
    action: 'Retry once it is up again.',
  },
  InvalidZipFileException: {
    status: 502,
    messageKey: 'Message',
    meaning: 'The code of the function could not be unpacked on the worker.',
    action: 'Deploy the function again.',
  },
  InvalidRuntimeException: {
    status: 502,
    messageKey: 'Message',
    meaning: 'The runtime of the function is not available on the worker.',
    action: 'Deploy the function with a runtime that `perch doctor` lists.',
  },
} as const satisfies Record<string, ApiErrorSpec>;

export type ApiErrorCode = keyof typeof API_ERRORS;

/** Why a 429 was answered; the values are Lambda's `ThrottleReason`. */
export type ThrottleReason = 'ConcurrentInvocationLimitExceeded' | 'ReservedFunctionConcurrentInvocationLimitExceeded';

/** A refusal, as a value. The message names what was wrong, with its value, and what would be right. */
export class UserError {
  readonly code: ApiErrorCode;
  readonly message: string;
  readonly reason: ThrottleReason | undefined;

  constructor(code: ApiErrorCode, message: string, reason?: ThrottleReason) {
    this.code = code;
    this.message = message;
    this.reason = reason;
  }

  get status(): number {
    return API_ERRORS[this.code].status;
  }
}

interface FunctionErrorSpec {
  readonly meaning: string;
  readonly action: string;
}

/** Besides these, a function's own exceptions arrive with their class name as `errorType`. */
export const FUNCTION_ERRORS = {
  'Sandbox.Timedout': {
    meaning: 'The handler ran longer than the timeout of its function; its instance was killed.',
    action: 'Raise the timeout, or make the handler faster.',
  },
  'Runtime.ExitError': {
    meaning: 'The instance ended before it answered (process.exit, a crash, a signal).',
    action: 'See the log of the function.',
  },
  'Runtime.OutOfMemory': {
    meaning: 'The instance exceeded the memory of its function and was killed.',
    action: 'Raise the memory size, or use less.',
  },
  'Runtime.ImportModuleError': {
    meaning: 'The file of the handler, or something it imports, was not found in the package.',
    action: 'Check the handler setting and that the package holds its dependencies.',
  },
  'Runtime.UserCodeSyntaxError': {
    meaning: 'The code of the function does not parse.',
    action: 'Correct the code at the place that the message names.',
  },
  'Runtime.HandlerNotFound': {
    meaning: 'The module of the handler has no function of that name.',
    action: 'Export the function, or correct the handler setting.',
  },
  'Runtime.MalformedHandlerName': {
    meaning: 'The handler setting has not the form file.export.',
    action: 'Correct the handler setting.',
  },
  'Runtime.InvalidEntrypoint': {
    meaning: 'There is no bootstrap in the package or its layers, or it cannot be executed.',
    action: 'Put an executable file named bootstrap at the root of the package, made for this processor.',
  },
  'Runtime.UnhandledPromiseRejection': {
    meaning: 'A promise was rejected and nobody handled it.',
    action: 'Await the promise, or catch its rejection.',
  },
  'Runtime.MarshalError': {
    meaning: 'The handler returned something that JSON cannot hold.',
    action: 'Return plain data.',
  },
  'Runtime.InitTimeout': {
    meaning: 'The function did not finish its initialisation in time.',
    action: 'Do less at the top level of the module.',
  },
  'Runtime.InvalidProtocol': {
    meaning: 'The instance wrote something to the platform that is not in its protocol, and was killed.',
    action: 'Do not write to file descriptors that the function did not open.',
  },
  'Runtime.WasmTrap': {
    meaning:
      'The WebAssembly module trapped: unreachable, memory out of bounds, stack exhausted, an uncaught exception.',
    action: 'Correct the module at the function that the trace names.',
  },
  'Sandbox.StartError': {
    meaning: 'The sandbox of the function could not be started.',
    action: 'Run `perch doctor`; the log of the platform says what happened.',
  },
  'Sandbox.WorkerLost': {
    meaning:
      'The connection to the worker that ran the function ended before its answer: it may have run, in part or whole.',
    action: 'Call it again if running it twice does no harm; asynchronous invocations are run again by themselves.',
  },
  'Function.ResponseSizeTooLarge': {
    meaning: 'The response of the handler is larger than its limit.',
    action: 'Return less; pass large data by reference.',
  },
} as const satisfies Record<string, FunctionErrorSpec>;

export type FunctionErrorType = keyof typeof FUNCTION_ERRORS;
