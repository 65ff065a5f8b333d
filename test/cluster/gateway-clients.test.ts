/** What clients find on one machine, they find in a cluster: the same tests, against a scheduler, a gateway and a worker. */
process.env['PERCH_TEST_CLUSTER'] = '1';
await import('../gateway/clients.test.ts');
