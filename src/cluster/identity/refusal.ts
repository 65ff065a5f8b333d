/** Why a connection between nodes was refused: a word for logs and metrics, a sentence for people. No secrets. */
export const REFUSALS = {
  'no-certificate': 'it showed no certificate',
  'self-signed': 'its certificate is signed by itself and by no authority',
  'other-authority': 'its certificate is from another authority, so it is of another cluster or of none',
  'other-cluster': 'its certificate names another cluster',
  'wrong-role': 'its certificate is for another role',
  'wrong-address': 'its certificate is for other addresses',
  expired: 'its certificate has expired',
  'not-yet-valid': 'its certificate is not valid yet, or a clock is wrong',
  revoked: 'its certificate was revoked',
  unfit: 'its certificate is not of the form that Perch gives them',
  'not-tls': 'it does not speak TLS 1.3',
  silent: 'it did not finish the handshake in time',
  'closed-early': 'it closed the connection during the handshake, or refuses this node',
} as const;

export type RefusalReason = keyof typeof REFUSALS;

export class Refusal {
  readonly reason: RefusalReason;
  readonly message: string;

  /** `detail` goes on where the sentence ends: names, roles and dates of certificates. */
  constructor(reason: RefusalReason, detail = '') {
    this.reason = reason;
    this.message = detail === '' ? REFUSALS[reason] : `${REFUSALS[reason]}: ${detail}`;
  }
}
