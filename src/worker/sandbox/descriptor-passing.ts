/**
 * Unix socket pairs made by hand, and descriptors sent over one: what a zygote needs to give a copy its channel. Node has
 * neither. Costs about 10 µs a pair.
 */
import { type Koffi, type Library, loadLibrary } from './libc.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const CMSG_HEADER_BYTES = 16;
const MESSAGE_HEADER_BYTES = 56;
const VECTOR_BYTES = 16;

export interface DescriptorPassing {
  /** Two ends of a stream, close-on-exec, blocking; throws where there are no descriptors left. */
  pair(): [number, number];
  /** Writes `bytes`, the descriptors with the first of them. Throws where not all of it could be written at once. */
  send(socket: number, bytes: Buffer, descriptors: readonly number[]): void;
}

/** Undefined where koffi or Linux is missing. */
export function openDescriptorPassing(): DescriptorPassing | undefined {
  const loaded = loadLibrary();
  return loaded === undefined ? undefined : bind(loaded.koffi, loaded.library);
}

function bind(koffi: Koffi, library: Library): DescriptorPassing {
  const socketpair = library.func('int socketpair(int domain, int type, int protocol, _Out_ int *pair)');
  const sendmsg = library.func('long sendmsg(int descriptor, const void *message, int flags)');
  return {
    pair() {
      const ends = [0, 0];
      if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) !== 0)
        throw new Error(`socketpair: ${koffi.errno()}`);
      return ends as [number, number];
    },
    send(socket, bytes, descriptors) {
      const control = controlOf(descriptors);
      const vector = Buffer.alloc(VECTOR_BYTES);
      vector.writeBigUInt64LE(koffi.address(bytes), 0);
      vector.writeBigUInt64LE(BigInt(bytes.length), 8);
      const message = Buffer.alloc(MESSAGE_HEADER_BYTES);
      message.writeBigUInt64LE(koffi.address(vector), 16);
      message.writeBigUInt64LE(1n, 24);
      if (descriptors.length > 0) {
        message.writeBigUInt64LE(koffi.address(control), 32);
        message.writeBigUInt64LE(BigInt(control.length), 40);
      }
      const sent = Number(sendmsg(socket, message, MSG_NOSIGNAL));
      if (sent !== bytes.length)
        throw new Error(`sendmsg: ${sent < 0 ? koffi.errno() : `${sent} of ${bytes.length} bytes`}`);
    },
  };
}

/** struct cmsghdr with the descriptors behind it, padded to 8 bytes. */
function controlOf(descriptors: readonly number[]): Buffer {
  const bytes = CMSG_HEADER_BYTES + descriptors.length * 4;
  const control = Buffer.alloc(Math.ceil(bytes / 8) * 8);
  control.writeBigUInt64LE(BigInt(bytes), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  descriptors.forEach((descriptor, index) => control.writeInt32LE(descriptor, CMSG_HEADER_BYTES + index * 4));
  return control;
}
