/**
 * Whether the runtime allows something. Asked before it is tried: trying would stop a program with a terminal at a prompt.
 */
export function isAllowed(what: Deno.PermissionDescriptor): boolean {
  return typeof Deno === "undefined" || Deno.permissions.querySync(what).state === "granted";
}
