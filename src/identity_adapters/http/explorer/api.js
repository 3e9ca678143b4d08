// The HTTP API of the service. The key is in the memory of this page alone.

const RETRIED = 503;
const TOO_SOON = 429;
let key = null;
const listeners = new Set();

/** An answer that is an error, or no answer: then the status is 0. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? document.title ?? "The service does not answer.");
    this.status = status;
    this.title = document.title;
    this.errors = document.errors ?? [];
    this.type = document.type ?? null;
    this.chain = document.chain ?? [];
    this.undo = document.undo ?? [];
    this.rulingId = document.rulingId ?? null;
  }

  /** Whether it is that somebody else changed what was looked at. */
  get isStale() {
    return this.type === "urn:problem-type:identity:stale-plan";
  }

  /** Whether it is that a ruling contradicts what is recorded. */
  get isContradiction() {
    return this.type === "urn:problem-type:identity:contradiction";
  }

  /** Whether it is unknown if the request was carried out. */
  get isUnanswered() {
    return this.status === 0 || this.status === RETRIED;
  }
}

/** Use a key from now on; null for none. */
export function setKey(secret) {
  key = secret;
}

/** Have a function called with true once the service answers, and with the problem while it does not. */
export function watchConnection(listener) {
  listeners.add(listener);
}

/**
 * Send a request and return the answer.
 *
 * A read that the service cannot answer for now, or that comes too soon for the key, is sent again until it is
 * answered, or the signal is aborted.
 *
 * @throws {Problem} the answer is an error. If the key is not known, the window gets the event `keyrefused`, too.
 */
export async function request(method, path, { query = {}, body, signal, isRead = method === "GET" } = {}) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await send(method, path, query, body, signal);
      listeners.forEach((listener) => listener(true));
      return answer;
    } catch (problem) {
      const isUnavailable = problem instanceof Problem && problem.isUnanswered;
      listeners.forEach((listener) => isUnavailable && listener(problem));
      if (!isRead || !(isUnavailable || problem.status === TOO_SOON)) throw problem;
      await wait(Math.min(500 * 2 ** attempt, 5000), signal);
    }
  }
}

async function send(method, path, query, body, signal) {
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== null));
  const headers = { Accept: "application/json" };
  if (key !== null) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const url = parameters.size ? `${path}?${parameters}` : path;
  let response;
  try {
    response = await fetch(url, {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store", redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new Problem(0, {});
  }
  const text = await response.text().catch(() => "");
  const parsed = parse(text);
  if (response.status === 401) window.dispatchEvent(new Event("keyrefused"));
  if (!response.ok) throw new Problem(response.status, parsed ?? {});
  if (parsed === null) throw new Problem(0, {});
  return parsed;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
