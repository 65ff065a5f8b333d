/** Amazon resource names, as every room of Perch builds them. */
export interface Account {
  readonly region: string;
  /** Twelve digits. */
  readonly accountId: string;
}

/** Where nobody says which: Perch has one account, and clients ask for some region. */
export const DEFAULT_ACCOUNT: Account = { region: 'us-east-1', accountId: '000000000000' };

/** The version of a function that its owner changes; the others are published, numbered and fixed. */
export const LATEST = '$LATEST';

export function functionArn(account: Account, functionName: string, qualifier: string | null = null): string {
  const arn = `arn:aws:lambda:${account.region}:${account.accountId}:function:${functionName}`;
  return qualifier === null ? arn : `${arn}:${qualifier}`;
}
