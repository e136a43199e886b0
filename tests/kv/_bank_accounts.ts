/** Accounts of the bank. */
export const ACCOUNTS = 100;

/** The key of an account. */
export function accountName(number: number): string {
  return `account.${number}`;
}
