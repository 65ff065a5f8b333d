/**
 * Every queue, buffer and wait of Perch has its limit here; at the limit comes a typed refusal, not growth.
 * Machines take their limits as arguments, so that tests run under tiny ones.
 * Where a limit is AWS Lambda's, it has Lambda's value.
 */
export const LIMITS = {
  // Lambda API
  functionNameLengthMax: 64,
  handlerLengthMax: 128,
  descriptionLengthMax: 256,
  memoryMbMin: 128,
  memoryMbMax: 32_768,
  timeoutSMax: 900,
  environmentBytesMax: 4096,
  tagCountMax: 50,
  listItemsMax: 50,
  listVersionsItemsMax: 50,
  chainStepsMax: 32,
  /** Names in a list of sources; there are fewer sources. */
  knowledgeSourcesMax: 8,
  /** Steps of a chain that go before requests which came after it; then the chain goes behind those that wait. */
  chainStepsInRowMax: 8,
  /** Synchronous payloads: Lambda's 6 MB; a response may be slightly larger (its own figure). */
  payloadBytesMax: 6 * 1024 * 1024,
  responseBytesMax: 6_291_556,
  asyncPayloadBytesMax: 1024 * 1024,
  clientContextBytesMax: 3583,

  // Code
  zipBytesMax: 50 * 1024 * 1024,
  unzippedBytesMax: 250 * 1024 * 1024,
  zipEntryCountMax: 50_000,
  codeStorageBytesMax: 75 * 1024 * 1024 * 1024,
  layersPerFunctionMax: 5,
  layerNameLengthMax: 140,
  /** Disk for unpacked code on a worker. The least holds any one function with its layers, in whole blocks. */
  codeCacheBytesMax: 10 * 1024 * 1024 * 1024,
  codeCacheBytesMin: 3 * 1024 * 1024 * 1024,
  codeCacheEntryCountMax: 65_536,
  /** An API request carries its zip in base64, inside JSON. */
  apiRequestBytesMax: 70 * 1024 * 1024,

  // Store
  codePathBytesMax: 1024,
  symlinkTargetBytesMax: 1024,
  /** How many zips are unpacked at once; the others wait. */
  unpackConcurrencyMax: 2,
  /** Code that no version uses stays this long: longer than any request waits and any invocation runs. */
  codeSweepDelayMs: 1_800_000,
  /** Changes that wait for the disk, in memory. */
  commitBytesMax: 64 * 1024 * 1024,
  /** Asynchronous invocations kept in memory besides on disk. */
  asyncMemoryBytesMax: 64 * 1024 * 1024,
  logFlushMs: 50,
  logFlushBytes: 512 * 1024,
  /** Log that waits for the disk: of one function, and of all together. */
  logBufferBytesMax: 4 * 1024 * 1024,
  logMemoryBytesMax: 64 * 1024 * 1024,

  // Store of another node
  /** A change that is asked for; code goes with codeTimeoutMs. */
  storeCallTimeoutMs: 30_000,
  /** A call whose connection broke is repeated for so long; its answer is remembered for longer. */
  storeRepeatMs: 10_000,
  storeAnswerKeptMs: 60_000,
  storeAnswersKeptMax: 16_384,
  /** Until an answered change has come back in the stream of all changes. */
  storeSeenMs: 10_000,
  storeCallBytesMax: 1024 * 1024,
  /** Invocations that travel together; and those that wait for it. */
  enqueueBatchBytesMax: 4 * 1024 * 1024,
  enqueueWaitingBytesMax: 64 * 1024 * 1024,
  /** A line of a stream: a version, or a function and the numbers of its versions. */
  storeLineBytesMax: 2 * 1024 * 1024,
  storeStreamsMax: 1024,
  /** Of requests that are being read or answered, together. */
  storeBodiesBytesMax: 512 * 1024 * 1024,
  /** Zips being read from the disk or sent at once; the others wait. */
  storeZipsMax: 8,
  /** Workers that another one asks for code before it asks the store. */
  codePeersMax: 3,
  /** Another worker that is asked for code may say nothing for so long, and take so long. */
  codePeerSilenceMs: 2000,
  codePeerTimeoutMs: 20_000,
  /** A worker that gave bytes that were not what their name says is not asked again for so long. */
  codePeerDistrustMs: 600_000,
  /** Codes of which a worker remembers who may have them, or why they cannot be used. */
  codeNotesMax: 4096,
  codeRejectedMs: 60_000,
  /** A worker that stops waits so long for the store to take its last log. */
  logCloseMs: 3000,
  logTailBytesSentMax: 33 * 1024 * 1024,

  /** Who has waited so long for a core is late; once somebody was for the second of these without a break, such are refused for who comes. */
  lateWaitMs: 500,
  standingLineMs: 2000,

  // Scheduler
  functionVersionCountMax: 65_536,
  requestQueueMax: 1024,
  /** How many younger requests may pass an older one that waits for memory, before cores are kept for it. */
  overtakeMax: 64,
  /** References to warm cores kept for each function version. */
  warmHintMax: 16,

  // Agent
  instanceCountMax: 1024,
  /** Stem cells that wait for each runtime, and what one may use before it has a function. */
  stemCellCount: 2,
  stemCellMemoryMb: 96,
  /** Copies of one function that wait ahead of their invocations. */
  copiesAheadMax: 64,
  /** Network namespaces that a zygote keeps for later copies. */
  networkSeatsFreeMax: 16,
  initTimeoutMs: 10_000,
  /** For the code of a function to be fetched and unpacked, with its layers, beside what others unpack. */
  codeTimeoutMs: 120_000,
  logTailBytesMax: 4096,
  logBytesPerInvocationMax: 1024 * 1024,
  logLineBytesMax: 256 * 1024,
  logFileBytesMax: 16 * 1024 * 1024,
  /** Files of logs that stay open while nothing is written to them, and for how long; and how often it is looked whether they are still there. */
  logFilesOpenMax: 64,
  logFileIdleMs: 5000,
  logFileLookMs: 1000,
  processesPerInstanceMax: 128,
  openFilesPerInstanceMax: 1024,
  tmpBytesMax: 512 * 1024 * 1024,

  // Asynchronous invocations (Lambda's defaults)
  asyncQueueMax: 1_000_000,
  asyncRetryMax: 2,
  asyncRetryDelaysMs: [60_000, 120_000],
  asyncRefusedDelayMinMs: 1000,
  asyncRefusedDelayMaxMs: 300_000,
  asyncAgeMaxMs: 6 * 3600 * 1000,
  asyncConcurrencyMax: 256,

  // Gateway
  connectionsMax: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  shutdownGraceMs: 10_000,

  // Cluster
  /** What a connection between two nodes may have waiting to be sent; beyond it the connection is closed. */
  linkBacklogBytesMax: 64 * 1024 * 1024,
  /** A connection on which nothing comes, or whose other side reads nothing, for so long is closed. */
  linkSilenceMs: 3000,
  linkBeatMs: 1000,
  /** Between the end of a connection and the next attempt: doubles from the least to the most. */
  dialDelayMinMs: 100,
  dialDelayMaxMs: 5000,
  /** A version that no gateway names any more, since their connections ended: workers keep what they have of it. */
  versionKeptMs: 600_000,
  /** A new scheduler has requests of before wait so long for a worker that is large enough. */
  schedulerStartMs: 10_000,
  /** Between nodes: longer than any answer is waited for (codeTimeoutMs). */
  httpSilenceMs: 130_000,
  /** From a TCP connection between nodes to the end of its TLS handshake. */
  handshakeTimeoutMs: 10_000,
  /** Connections to a node's port that have not said who they are: about 40 KB each. With one more the oldest is closed. */
  strangersMax: 4096,
  /** Nodes that dial at once and are not accepted yet, as far as the kernel allows (net.core.somaxconn). */
  listenBacklog: 16_384,
  /** Connections of one node to each other node for what is not frames: code, functions, logs. */
  nodeConnectionsMax: 16,
  /** A gateway's requests that are not over: those that run anywhere among them. */
  gatewayRequestCountMax: 65_536,
  /** A request that was never asked for waits so long for a scheduler. */
  schedulerWaitMs: 10_000,
  /** A grant waits so long for the connection to its worker. */
  workerConnectMs: 500,
  /** Of how many workers a gateway hears who is where on their cores when somebody looks, and how long it waits for that. */
  workersAskedMax: 256,
  workerAnswerMs: 1000,
  /** What a worker has said to the scheduler on a connection that is silent by now has arrived, or will not. */
  lostRequestRestMs: 30_000,
  /** Every core of a cluster is below. */
  clusterCoreEnd: 1_048_576,
  /** A join file or a key is about 3 KB; of the lists of certificates, a line is about 100 bytes. */
  joinFileBytesMax: 64 * 1024,
  certificateListBytesMax: 16 * 1024 * 1024,
  /** A text beside the payload of an invocation, in a frame; Node takes no longer header. */
  frameTextBytesMax: 16 * 1024,
  /** A function version as JSON, in a frame. */
  frameVersionBytesMax: 64 * 1024,
  /** What an operator says of a function as JSON, in a frame: what the API takes, and a name. */
  frameKnowledgeBytesMax: 72 * 1024,
} as const;
