/**
 * Server configuration with a user `reader` (password `reader`) of limited rights; without a user all is allowed.
 *
 * @param permissions What the `permissions` block has, for instance `publish { allow: "a.>" }`.
 */
export function restrictedReader(permissions: string): string {
  return `
    authorization {
      users: [
        { user: all, password: all }
        { user: reader, password: reader, permissions { ${permissions} } }
      ]
    }
    no_auth_user: all`;
}
