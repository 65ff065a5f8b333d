/**
 * Memory and process limits of instances: one folder per platform process, in it one cgroup per slot. Versions 1 and 2
 * differ in every file name and in how they end a group that is out of memory; this interface hides that.
 *
 * A process joins by writing 0 into the attach files itself, before it becomes the sandbox: that costs about 0.1 ms, where
 * moving it from outside costs 10 ms (the kernel waits for a grace period of all CPUs).
 */
export interface Cgroup {
  /** Files into which a process writes `0` to join. */
  readonly attachFiles: readonly string[];
  /**
   * The same for a process that cannot open them: descriptors to be passed to it, which it writes `0` into as well. They
   * stay open, and the cgroup's. Made by root, they let in whoever has them: a zygote may keep them, and hostile code in
   * it may join by them whenever it likes. See `prepare`.
   */
  attachDescriptors(): readonly number[];
  /**
   * Before each start: limits set, counters at zero. Throws where the kernel refuses. `holder`: whoever gets the attach
   * descriptors this time, if anybody does. Those that another one got before lead nowhere from here on.
   */
  prepare(memoryMb: number, holder?: symbol): void;
  /** Changes the limit of a group that is in use; nothing happens where it is not limited. */
  limitMemory(memoryMb: number): void;
  /** Every thread in the group, and where there are several for one slot, in the one that freezes. */
  taskIds(): readonly number[];
  processIds(): readonly number[];
  /** The version 2 folder with what is in it now; '' where there is none. Another one after a `prepare`, perhaps. */
  readonly unifiedFolder: string;
  /** Sends SIGKILL to every process in the group; may miss one that is being forked, so repeat until it is empty. */
  killAll(): void;
  /** Stops every task in the group until `thaw`; nothing happens where the tree has no freezer. Kills reach them still. */
  freeze(): void;
  thaw(): void;
  /** Present use, bytes; 0 where it is unknown. */
  memoryBytes(): number;
  /** Highest use since `prepare`, bytes. */
  memoryPeakBytes(): number;
  /** Processes that the kernel killed at the limit since `prepare`. */
  oomKillCount(): number;
  /**
   * After the last process is gone: gives back what memory the group still holds. Who joins by a descriptor that it kept
   * can neither run there nor use more than a little memory until the next `prepare`, which comes once this is done.
   */
  release(): Promise<void>;
}

export interface CgroupTree {
  readonly version: 1 | 2;
  readonly memory: boolean;
  readonly pids: boolean;
  /** Whether its groups can be frozen. */
  readonly freezer: boolean;
  /** The cgroup of a slot, made at first use and then kept. */
  slot(slot: number): Cgroup;
  /** Removes all that was made. */
  close(): void;
}

/** Why there is no tree, and what would help. */
export interface CgroupMissing {
  readonly version: 0 | 1 | 2;
  readonly detail: string;
  readonly fix: string;
}

export function isTree(result: CgroupTree | CgroupMissing): result is CgroupTree {
  return 'slot' in result;
}
