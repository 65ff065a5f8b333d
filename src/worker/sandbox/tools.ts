/** Programs of the system that sandboxes are built with. The platform's PATH is not asked: it may be anybody's. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];

/** Its absolute path, or '' where it is not installed. */
export function findTool(name: string): string {
  for (const folder of FOLDERS) {
    const file = path.join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Look in the next folder.
    }
  }
  return '';
}
