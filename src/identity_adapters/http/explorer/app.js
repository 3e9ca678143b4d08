// The start of the page: it signs in, and shows the view that the address names. An address has ids alone.

import { Problem, watchConnection } from "./api.js";
import { showHeld } from "./decide/held.js";
import { fill, h } from "./dom.js";
import { showHome } from "./home.js";
import { showIdentity } from "./identity.js";
import { can, session, signIn, signOut } from "./session.js";
import { showSignIn } from "./sign_in.js";

const main = document.getElementById("main");
let current = new AbortController();
let hasDocumentation = false;

function findView(address) {
  const [, name, id] = address.split("/");
  if (!can("read")) return (signal) => showHome(main, signal); // which says so
  if (name === "identities" && /^\d+$/.test(id ?? "")) return (signal) => showIdentity(main, Number(id), signal);
  if (name === "held") return (signal) => showHeld(main, signal);
  return (signal) => showHome(main, signal);
}

/** Tell which page of the header is shown. */
function markPage() {
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.hash && link.hash === (location.hash || "#/")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function show() {
  markPage();
  current.abort(new DOMException("another view is shown", "AbortError"));
  current = new AbortController();
  const { signal } = current;
  try {
    await findView(location.hash)(signal);
  } catch (problem) {
    if (signal.aborted) return;
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) replaceKey();
    else showError(problem);
  }
}

function showError({ title, message }) {
  fill(main, h("section", { class: "card" }, h("h1", null, title ?? "Error"), h("p", null, message)));
}

function showHeader() {
  const link = (address, text) => h("a", { href: address }, text);
  const sign = h("button", { type: "button", class: "plain", onclick: () => askForKey() },
    session.name ? "Sign out" : "Sign in");
  fill(
    document.getElementById("nav"),
    can("read") && link("#/", "Find"),
    can("read") && link("#/held", "Review"),
    hasDocumentation && h("a", { href: "docs" }, "API"),
  );
  fill(
    document.getElementById("session"),
    session.name && h("span", { class: "who" }, session.name),
    session.isRequired && sign,
  );
}

function askForKey(why = "") {
  current.abort(new DOMException("the key is gone", "AbortError"));
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  signOut();
  showHeader();
  showSignIn(main, start, why);
}

const isSignedIn = () => session.scopes.size > 0;

function replaceKey() {
  if (isSignedIn()) askForKey("The service does not know your key any more.");
}

/** Link the interactive documentation, unless it is turned off. */
async function linkDocumentation() {
  hasDocumentation = (await fetch("docs", { method: "HEAD" })).ok;
  showHeader();
  markPage();
}

async function start() {
  showHeader();
  await show();
}

watchConnection((state) => {
  const problem = state === true ? null : state;
  document.body.classList.toggle("offline", problem !== null);
  document.getElementById("offline")?.remove();
  if (problem) {
    document.body.prepend(h("p", { id: "offline", role: "alert" }, `${problem.message} Trying again…`));
  }
});

window.addEventListener("hashchange", () => isSignedIn() && show());
window.addEventListener("keyrefused", replaceKey);
linkDocumentation().catch(() => {}); // it can be missed
signIn(null).then(start, (problem) => {
  if (!(problem instanceof Problem)) throw problem;
  if (problem.status === 401) askForKey();
  else showError(problem);
});
