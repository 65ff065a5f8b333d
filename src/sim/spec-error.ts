/** What people wrote cannot be simulated. The message says what was wrong and what would be right. */
export class SpecError extends Error {}
