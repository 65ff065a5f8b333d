/**
 * Completes package-lock.json: `npm install` leaves out the optional packages of other platforms that the registry at
 * hand does not have, and `npm ci` then refuses the file, on every machine. Their versions are known (their
 * parents pin them) and so are their platforms (their names say them); they have no hash, as nobody has seen them.
 * Run it after every `npm install`; the tidy test says when it was forgotten.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface LockedPackage {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

const OS = { android: 'android', darwin: 'darwin', freebsd: 'freebsd', linux: 'linux', openharmony: 'openharmony', win32: 'win32', windows: 'win32' }; // prettier-ignore
const CPU = { arm64: 'arm64', arm: 'arm', x64: 'x64', ia32: 'ia32', ppc64: 'ppc64', riscv64: 'riscv64', s390x: 's390x', '64': 'x64' }; // prettier-ignore

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, LockedPackage> };
const { packages } = lock;
let added = 0;
for (const [parentPath, parent] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const paths = [`${parentPath}/node_modules/${name}`, `node_modules/${name}`];
    if (paths.some((path) => path in packages)) continue;
    packages[`node_modules/${name}`] = {
      version,
      ...(parent.dev === true && { dev: true }),
      optional: true,
      ...platformOf(name),
    };
    added++;
  }
}
const [root, ...rest] = Object.entries(packages);
lock.packages = Object.fromEntries([root ?? ['', {}], ...rest.sort(([a], [b]) => a.localeCompare(b, 'en'))]);
writeFileSync(file, JSON.stringify(lock, null, 2) + '\n');
process.stderr.write(`${added} packages of other platforms added to package-lock.json\n`);

function platformOf(name: string): Pick<LockedPackage, 'os' | 'cpu' | 'libc'> {
  const words = name.slice(name.indexOf('/') + 1).split('-');
  const os = words.map((word) => OS[word as keyof typeof OS]).find(Boolean);
  const cpu = words.map((word) => CPU[word as keyof typeof CPU]).find(Boolean);
  if (os === undefined || cpu === undefined)
    throw new Error(`the name of ${name} does not say its platform; add its words here`);
  const libc = words.some((word) => word.startsWith('musl'))
    ? 'musl'
    : words.some((word) => word.startsWith('gnu'))
      ? 'glibc'
      : null;
  return { os: [os], cpu: [cpu], ...(os === 'linux' && libc !== null && { libc: [libc] }) };
}
