/** For aws and boto3 on a platform that listens on the loopback alone, where any key will do: one try, and no settings of the machine. */
export const CLIENT_ENVIRONMENT: NodeJS.ProcessEnv = {
  ...process.env,
  AWS_ACCESS_KEY_ID: 'AKPERCH',
  AWS_SECRET_ACCESS_KEY: 'unverified on loopback',
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_MAX_ATTEMPTS: '1',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
};
