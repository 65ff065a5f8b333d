/** The image pipeline: each step reads the image that the one before wrote, filters it, and writes it. */
'use strict';
const { FILTERS, fromPpm, toPpm } = require('./filters.cjs');
const { BUILDS, step } = require('./objects.cjs');

for (const [name, filter] of Object.entries(FILTERS)) {
  for (const build of BUILDS) {
    exports[`${name}_${build}`] = step(name, build, async (objects, { chain, key }) => {
      const image = fromPpm(await objects.get(key));
      const filtered = `${chain}-${name}.ppm`;
      await objects.put(filtered, toPpm(filter(image)));
      return filtered;
    });
  }
}
