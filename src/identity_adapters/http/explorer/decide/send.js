// Rulings on their way to the service: as a dry run, and for good.

import { request } from "../api.js";

/** Ask what a ruling would do. */
export function foresee(ruling, signal) {
  return send(ruling, { reason: "dry run", dryRun: true, signal });
}

/** Make a ruling; with a plan, only if it does what was shown. */
export function rule(ruling, reason, plan) {
  return send(ruling, { reason, plan });
}

function send({ method = "POST", path, body }, { reason, plan, dryRun, signal }) {
  const options = { signal, isRead: dryRun === true };
  if (method === "DELETE") return request(method, path, { ...options, query: { reason, plan, dryRun } });
  return request(method, path, { ...options, query: { dryRun }, body: { ...body, reason, ...(plan && { plan }) } });
}

/** Find a ruling in force; null if there is none. */
export async function findRuling(id) {
  const { rulings } = await request("GET", "rulings", { query: { after: id - 1, limit: 50 } });
  const ruling = rulings.find((each) => each.id === id);
  return ruling ? { ...ruling, hasUndone: rulings.some((each) => each.splitId === id) } : null;
}
