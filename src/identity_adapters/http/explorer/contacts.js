// The table of the contacts of an identity, in pages.

import { request } from "./api.js";
import { fill, h } from "./dom.js";
import { buildTable, pageThrough, scrollable } from "./parts.js";
import { showValue } from "./values.js";
import { showTime } from "./words.js";

const PAGE = 50;

/**
 * Fill a container with the table, as it was at a time, or as it is.
 *
 * @param onPage gets each page, which has the counts of the identity
 */
export async function showContacts(container, { contactId, asOf, onPage, signal }) {
  const rows = h("tbody");
  const load = async (after) => {
    const query = { after, limit: PAGE, asOf };
    const page = await request("GET", `identities/${contactId}`, { query, signal });
    onPage(page);
    return { items: page.contacts, next: page.next };
  };
  const pages = pageThrough(signal, load, (contacts) => rows.append(...contacts.map(buildRow)), "More contacts");
  await pages.start();
  if (signal.aborted) return;
  fill(
    container,
    rows.hasChildNodes() && scrollable("Table of contacts", true,
      buildTable(["Id", "Email", "Phone number", "Created"], rows)),
    pages.container,
  );
}

function buildRow({ id, email, phoneNumber, linkPrecedence, createdAt }) {
  const isPrimary = linkPrecedence === "primary";
  return h(
    "tr", { class: isPrimary ? "primary-row" : undefined },
    h("th", { scope: "row" }, String(id), isPrimary && h("span", { class: "tag" }, "primary")),
    h("td", null, email === null ? "–" : showValue({ email })),
    h("td", null, phoneNumber === null ? "–" : showValue({ phoneNumber })),
    h("td", null, showTime(createdAt, "days")),
  );
}
