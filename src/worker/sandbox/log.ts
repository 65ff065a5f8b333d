/** What a backend needs of the platform's log. */
export interface SandboxLog {
  warn(text: string): void;
}
