/** In the place of a shard. */
throw new Error('there is nothing to stand on');
