// Who uses the page, and what its key allows.

import { request, setKey } from "./api.js";

export const session = { name: null, scopes: new Set(), isRequired: false };

/** Whether the key has a scope. Without keys, everybody has all. */
export function can(scope) {
  return session.scopes.has(scope);
}

/**
 * Use a key; null for none.
 *
 * @throws {Problem} the key is not known; its status is 401.
 */
export async function signIn(secret) {
  setKey(secret);
  const { name, scopes, isRequired } = await request("GET", "key").catch((problem) => {
    setKey(null);
    throw problem;
  });
  Object.assign(session, { name, scopes: new Set(scopes), isRequired });
}

/** Forget the key. */
export function signOut() {
  setKey(null);
  Object.assign(session, { name: null, scopes: new Set(), isRequired: true });
}
