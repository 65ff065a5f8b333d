/** Of a Node process in a sandbox. The instance owns one core: helper threads would only take turns with it. */
export const ONE_THREAD: readonly string[] = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1'];
