/** What the harness and the object server say to each other over the channel of `fork`. Times are those of `process.hrtime`, which all processes of a machine share. */
export interface ServerReady {
  readonly port: number;
}

export interface ServerQuestion {
  /** From now on; as it is where it is absent. */
  readonly latencyUs?: number;
  /** Forget all objects. */
  readonly clear?: boolean;
}

export interface ServerAnswer {
  /** Since the last question. */
  readonly requests: readonly ObjectRequest[];
  /** Of its whole life. */
  readonly cpuUs: number;
}

export interface ObjectRequest {
  /** The header `x-amz-meta-request` of its request. */
  readonly id: string;
  /** The request was whole. */
  readonly receivedUs: number;
  /** The response was handed to the kernel. */
  readonly respondedUs: number;
}
